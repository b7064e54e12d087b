"""The version store: versions of a model in TF Serving's layout, complete before visible."""
