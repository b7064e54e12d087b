"""Compiles and submits a training pipeline to Kubeflow Pipelines: `python runner_kubeflow.py --help`."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # needed if PYTHONSAFEPATH is set
    from pipeline.process.start import main_of

    main_of("pipeline.kubeflow.cli")()
