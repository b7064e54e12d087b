"""What forward passes are built from, over the variables of Keras layers of transformers.

Hidden states are [rows * tokens, hidden], so that every dense layer is one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

_MASKED = -1e9  # added to a score; exp() of it is exactly 0 in float32


@dataclass
class Dropout:
    """Dropout whose masks depend on `seed` only (int64 [2]); without a seed it does nothing.

    Stateless, so that a run that was interrupted and resumed draws the masks it would have drawn.
    """

    seed: tf.Tensor | None = None
    calls: int = 0

    def __call__(self, values: tf.Tensor, rate: float) -> tf.Tensor:
        if self.seed is None or rate == 0.0:
            return values
        self.calls += 1
        return tf.nn.experimental.stateless_dropout(
            values, rate, seed=self.seed + tf.constant([0, self.calls], tf.int64)
        )


def padding_bias(attention_mask: tf.Tensor) -> tf.Tensor:
    """[rows, tokens], 1 for a token -> what attention adds to the scores, float32 [rows, 1, 1, tokens]."""
    padding = 1.0 - tf.cast(attention_mask, tf.float32)
    # Not `padding[:, None, None]`: that is a StridedSlice that TFLite does not have.
    return tf.expand_dims(tf.expand_dims(padding, 1), 1) * _MASKED


def first_tokens(hidden: tf.Tensor, rows: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """[rows * tokens, hidden] -> [rows, hidden]."""
    return tf.reshape(hidden, [rows, tokens, hidden.shape[-1]])[:, 0]


class Projections(NamedTuple):
    """The dense layers of an attention."""

    query: Any
    key: Any
    value: Any


def attend(
    projections: Projections,
    heads: int,
    queries: tf.Tensor,
    hidden: tf.Tensor,
    bias: tf.Tensor,
    drop: Callable[[tf.Tensor], tf.Tensor],
    dtype: tf.DType,
) -> tf.Tensor:
    """Multi-head attention, [n, hidden] -> [n, hidden]; `bias` is that of `padding_bias`, `drop` the dropout."""
    size = int(projections.query.kernel.shape[-1])
    width, rows = size // heads, tf.shape(bias)[0]

    def by_head(values: tf.Tensor) -> tf.Tensor:
        return tf.transpose(tf.reshape(values, [rows, -1, heads, width]), [0, 2, 1, 3])

    # Scaling the queries is cheaper than scaling the scores.
    query = by_head(dense(queries, projections.query, dtype) * (1.0 / math.sqrt(width)))
    key = by_head(dense(hidden, projections.key, dtype))
    value = by_head(dense(hidden, projections.value, dtype))
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + bias
    shares = drop(tf.cast(tf.nn.softmax(scores), dtype))
    context = tf.transpose(tf.matmul(shares, value), [0, 2, 1, 3])
    return tf.reshape(context, [-1, size])


def dense(values: tf.Tensor, layer: Any, dtype: tf.DType) -> tf.Tensor:
    """[n, in] -> [n, out], as `dtype`."""
    product = tf.matmul(tf.cast(values, dtype), tf.cast(layer.kernel, dtype))
    return tf.nn.bias_add(product, tf.cast(layer.bias, dtype))


def layer_norm(values: tf.Tensor, layer: Any) -> tf.Tensor:
    """Over the last dimension."""
    mean, variance = tf.nn.moments(values, axes=-1, keepdims=True)
    return tf.nn.batch_normalization(values, mean, variance, layer.beta, layer.gamma, layer.epsilon)
