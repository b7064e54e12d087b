"""What is trained: checkpoints and the axes tokenizers, encoders and tasks. Knows no TFX, no node, no pipeline."""
