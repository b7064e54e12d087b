"""Exports a pushed model to further formats, each compared with the served model: TFLite, ONNX, TensorFlow.js."""
