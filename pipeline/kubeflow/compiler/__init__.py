"""Compiles the pipeline into a package: Kubeflow Pipelines v2 and Vertex."""
