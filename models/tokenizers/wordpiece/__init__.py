"""BERT's WordPiece."""
