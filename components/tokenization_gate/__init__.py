"""Stops the run before Transform if the graph tokenizes rows differently from transformers."""
