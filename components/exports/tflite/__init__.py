"""TensorFlow Lite, run by LiteRT."""
