"""Runs a training pipeline on this machine: `python runner_local.py --help`."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # also where PYTHONSAFEPATH keeps it out
    from pipeline.process.start import check_python, main_of

    check_python()
    from pipeline.local.sudden_end import watch

    watch(sys.argv[1:])  # what is imported from here on, a run's process imports
    main = main_of("pipeline.local.cli")
    from pipeline.process.exit import leave_after

    leave_after(main)
