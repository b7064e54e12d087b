"""BERT: post-layer-norm encoder with learned absolute positions and token types, and a pooler."""
