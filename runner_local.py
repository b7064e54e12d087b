"""Runs a training pipeline on this machine: `python runner_local.py --help`."""

from pipeline.local.cli import main

if __name__ == "__main__":
    main()
