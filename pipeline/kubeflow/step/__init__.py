"""What runs inside a step's container, behind `pipeline.kubeflow.entrypoint`."""
