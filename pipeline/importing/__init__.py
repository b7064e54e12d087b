"""Converts labelled text into sharded, compressed TFRecords of tf.Examples. TensorFlow is not imported."""
