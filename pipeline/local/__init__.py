"""Runs the pipeline on this machine: LocalDagRunner, console output and sub-commands."""
