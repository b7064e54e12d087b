"""The peers that this project is compared with; most run in `.venv-bench`. Importing this imports nothing else."""
