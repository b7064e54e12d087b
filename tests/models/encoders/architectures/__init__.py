"""The table of docs/architectures.md: what each architecture does, measured on tiny random weights."""
