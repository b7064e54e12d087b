"""Encoders: token ids -> logits, with the weights of a pretrained model. No TFX, no node of the pipeline here."""
