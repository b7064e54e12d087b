"""Multi-label classification: each row has any number of the labels of a list."""
