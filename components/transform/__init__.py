"""Tokenization in the graph: the same preprocessing for training, evaluation and serving."""
