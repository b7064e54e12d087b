"""What this project is measured against; most of it runs in `.venv-bench`. Imports nothing else."""
