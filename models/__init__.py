"""Models: checkpoints and the axes tokenizers, encoders and tasks. Imports neither TFX nor nodes nor the pipeline."""
