"""The client of a Kubeflow Pipelines server: submit, watch, schedule, check."""
