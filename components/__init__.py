"""What each node of the pipeline does. Importing this package imports nothing else."""
