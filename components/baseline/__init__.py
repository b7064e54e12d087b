"""The model that a candidate has to beat."""
