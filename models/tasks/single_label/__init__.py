"""One label of a list for each row."""
