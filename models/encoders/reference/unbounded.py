"""For encoders that know distances only. No TensorFlow here."""

ANY_LENGTH = 8192  # the longest row that transform.max_length allows
