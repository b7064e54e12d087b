"""Which nodes run, in which order, and on which orchestrator. Importing this package imports nothing else."""
