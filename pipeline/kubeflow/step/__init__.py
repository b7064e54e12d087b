"""The parts of `pipeline.kubeflow.entrypoint`, which runs in the container of a step."""
