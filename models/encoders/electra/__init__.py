"""ELECTRA: BERT's encoder after embeddings of another width, and a two-layer head instead of the pooler."""
