"""Fine-tunes a TF Hugging Face encoder on the transformed examples and exports it."""
