"""Runs a training pipeline on this machine: `python runner_local.py --help`."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # also where PYTHONSAFEPATH keeps it out
    from pipeline.start import main_of

    main = main_of("pipeline.local.cli")
    from pipeline.process_exit import leave_after

    leave_after(main)
