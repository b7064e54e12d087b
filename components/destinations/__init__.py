"""Further destinations of a pushed model: object storage and the Hugging Face Hub."""
