"""What differs on Kubeflow Pipelines v2, and nothing else: the DAG is `pipeline.training_pipeline`."""
