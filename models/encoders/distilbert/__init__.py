"""DistilBERT: BERT's encoder without token types, and its own head instead of the pooler."""
