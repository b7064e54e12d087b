"""Evaluates the candidate with TFMA, on the signature that will be served."""
