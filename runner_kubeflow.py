"""Takes a training pipeline to Kubeflow Pipelines: `python runner_kubeflow.py --help`."""

from pipeline.kubeflow.cli import main

if __name__ == "__main__":
    main()
