"""Pretrained checkpoints: where their folder is, whether it can be trained, their tensors."""
