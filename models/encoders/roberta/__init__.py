"""RoBERTa: BERT's encoder with positions that start at 2, and a two-layer head instead of the pooler.

XLM-RoBERTa and CamemBERT are the same with other tokenizers.
"""
