"""Every figure that the README quotes, with its peer beside it in the same run. Imports nothing else."""
