"""Single-label classification: each row has one label of a list."""
