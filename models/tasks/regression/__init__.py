"""Regression: each row has one number."""
