"""Pretrained checkpoints: finding their folder, checking that it can be trained, reading their tensors."""
