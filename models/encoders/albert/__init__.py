"""ALBERT: BERT's encoder with layers that share weights, after narrow embeddings."""
