"""Template of `model.head`: two layers over the mean of a text's hidden states.

model: {head: own_parts.heads.MeanPooling}
"""

import math
from collections.abc import Callable

import tensorflow as tf

DROPOUT = 0.1


class MeanPooling(tf.Module):
    """Logits from the mean over all tokens, instead of from the first token.

    Args:
        width: of a hidden state.
        outputs: logits of a row.
        seed: of the initial weights.
    """

    def __init__(self, width: int, outputs: int, seed: int) -> None:
        super().__init__()
        self._inner, self._inner_bias = _dense(width, width, [seed, 0])
        self._outer, self._outer_bias = _dense(width, outputs, [seed, 1])

    def __call__(
        self, hidden: tf.Tensor, mask: tf.Tensor, dropout: Callable[[tf.Tensor, float], tf.Tensor]
    ) -> tf.Tensor:
        """Hidden states float32 [rows, tokens, width] -> logits float32 [rows, outputs].

        Args:
            hidden: of the last layer.
            mask: int32 [rows, tokens], 1 for a token and 0 for padding.
            dropout: takes values and a rate; when the model is not trained, it changes nothing.
        """
        counts = tf.cast(tf.expand_dims(mask, -1), tf.float32)
        mean = tf.math.divide_no_nan(tf.reduce_sum(hidden * counts, 1), tf.reduce_sum(counts, 1))
        inner = tf.nn.gelu(tf.matmul(dropout(mean, DROPOUT), self._inner) + self._inner_bias)
        return tf.matmul(dropout(inner, DROPOUT), self._outer) + self._outer_bias


def _dense(inputs: int, outputs: int, seed: list[int]) -> tuple[tf.Variable, tf.Variable]:
    deviation = math.sqrt(2.0 / (inputs + outputs))
    kernel = tf.random.stateless_truncated_normal([inputs, outputs], seed, stddev=deviation)
    return tf.Variable(kernel, name="kernel"), tf.Variable(tf.zeros([outputs]), name="bias")
