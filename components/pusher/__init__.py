"""Pushes blessed models into TF Serving's layout, whole or not at all."""
