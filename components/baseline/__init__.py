"""The baseline: the model that the candidate is compared with."""
