"""Talks to a Kubeflow Pipelines server: submit, watch, schedule, check."""
