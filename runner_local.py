"""Runs a training pipeline on this machine: `python runner_local.py --help`."""

from pipeline.local.cli import main
from pipeline.process_exit import leave_after

if __name__ == "__main__":
    leave_after(main)
