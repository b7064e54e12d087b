"""Squared error, and the score as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tests.support.toy_task.facts import ANSWER
from tests.support.toy_task.labels import TARGET


def size(labels: Sequence[str]) -> int:
    return len(labels)


def row_losses(logits: tf.Tensor, batch: Mapping[str, tf.Tensor], smoothing: float = 0.0) -> tf.Tensor:
    del smoothing
    return tf.math.squared_difference(logits[:, 0], batch[TARGET])


def score_sums(logits: tf.Tensor, batch: Mapping[str, tf.Tensor], weights: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.reduce_sum(row_losses(logits, batch) * weights), tf.reduce_sum(weights)])


def scores(sums: Sequence[float]) -> dict[str, float]:
    loss, rows = (float(value) for value in sums)
    return {"loss": loss / rows}


def served_outputs(logits: tf.Tensor, classes: tf.Tensor) -> dict[str, tf.Tensor]:
    """ANSWER float32 [batch, 1], and its name."""
    return {ANSWER: logits, "name": tf.tile(classes[None], [tf.shape(logits)[0], 1])}
