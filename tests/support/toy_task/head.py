"""Squared error, and the score as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from models.tasks.objective import PLAIN, Constants, Objective
from tests.support.toy_task.facts import ANSWER
from tests.support.toy_task.labels import TARGET


def size(labels: Sequence[str]) -> int:
    return len(labels)


def constants(label_counts: Sequence[float], rows: int) -> Constants:
    del label_counts, rows
    return {}


def row_losses(logits: tf.Tensor, batch: Mapping[str, tf.Tensor], objective: Objective = PLAIN) -> tf.Tensor:
    del objective
    return tf.math.squared_difference(logits[:, 0], batch[TARGET])


def score_sums(
    logits: tf.Tensor, batch: Mapping[str, tf.Tensor], weights: tf.Tensor, objective: Objective = PLAIN
) -> tf.Tensor:
    del objective
    return tf.stack([tf.reduce_sum(row_losses(logits, batch) * weights), tf.reduce_sum(weights)])


def scores(sums: Sequence[float], objective: Objective = PLAIN) -> dict[str, float]:
    del objective
    loss, rows = (float(value) for value in sums)
    return {"loss": loss / rows}


def chosen(sums: Sequence[float]) -> Constants:
    del sums
    return {}


def served_outputs(
    logits: tf.Tensor, classes: tf.Tensor, constants: Constants | None = None
) -> dict[str, tf.Tensor]:
    """ANSWER float32 [batch, 1], and its name."""
    del constants
    return {ANSWER: logits, "name": tf.tile(classes[None], [tf.shape(logits)[0], 1])}
