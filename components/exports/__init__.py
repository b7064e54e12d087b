"""A pushed model in further formats, each held to the model that is served: TFLite, ONNX, TensorFlow.js."""
