"""MPNet: BERT's encoder without token types, with RoBERTa's positions and a bias of attention by distance."""
