"""The pipeline on this machine: LocalDagRunner, its console and its sub-commands."""
