"""DistilBERT: BERT's encoder without token types, and a head of its own in place of the pooler."""
