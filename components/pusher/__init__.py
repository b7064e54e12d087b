"""Pushes blessed models into TF Serving's layout; pushes are atomic."""
