"""Measures every figure that the README quotes, and its peer in the same run. Importing this imports nothing else."""
