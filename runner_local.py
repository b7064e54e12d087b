"""Runs a training pipeline on this machine: `python runner_local.py --help`."""

import sys

from pipeline.local.sudden_end import watch

if __name__ == "__main__":
    watch(sys.argv[1:])  # what is imported from here on, a run's process imports

    from pipeline.local.cli import main
    from pipeline.process_exit import leave_after

    leave_after(main)
