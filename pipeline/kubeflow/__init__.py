"""What is specific to Kubeflow Pipelines v2. The DAG is that of `pipeline.training_pipeline`."""
