"""ELECTRA: BERT's encoder behind embeddings of another width, and a head of two layers in place of the pooler."""
