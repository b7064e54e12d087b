"""Runs a training pipeline on this machine: `python runner_local.py --help`."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # needed if PYTHONSAFEPATH is set
    from pipeline.process.start import check_python, main_of

    check_python()
    from pipeline.local.sudden_end import watch

    watch(sys.argv[1:])  # a run continues in a child process, which does all further imports
    main = main_of("pipeline.local.cli")
    from pipeline.process.exit import leave_after

    leave_after(main)
