"""MPNet: BERT's encoder without token types, with RoBERTa's positions and an attention bias by distance."""
