"""Labelled text in, sharded and compressed TFRecords of tf.Examples out; no TensorFlow is imported."""
