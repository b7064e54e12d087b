"""ALBERT: BERT's encoder with few sets of weights that its layers share, behind narrow embeddings."""
