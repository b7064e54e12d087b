"""The version store: versions of a model in TF Serving's layout, which become visible atomically."""
