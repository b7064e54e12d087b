"""Where a pushed model goes besides the serving folder: object storage, the Hugging Face Hub."""
