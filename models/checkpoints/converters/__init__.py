"""Checkpoints that a package carries in a format of its own, written as transformers would publish them."""
