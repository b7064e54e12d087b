"""Byte-level BPE, as GPT-2, RoBERTa, Longformer, BART and DeBERTa v1 have it."""
