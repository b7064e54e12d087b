"""The reference way: the TF class of transformers itself, for every architecture that has no forward pass of its own.

`forward` is shared; each other module is the facts of one architecture.
"""
