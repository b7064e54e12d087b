"""Tokenization in the graph: one preprocessing for training, evaluation and serving."""
