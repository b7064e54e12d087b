"""Tokenization in the graph, read from a checkpoint's own files; one folder per family."""
