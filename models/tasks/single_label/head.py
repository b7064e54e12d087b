"""Loss, scores and served outputs of a head with one logit per label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from models.features import CLASSES, LABEL_ID, PREDICTED_LABEL, PROBABILITIES
from models.tasks.objective import PLAIN, Constants, Objective


def size(labels: Sequence[str]) -> int:
    """Number of logits per row."""
    return len(labels)


def constants(label_counts: Sequence[float], rows: int) -> Constants:
    """The answer needs none."""
    del label_counts, rows
    return {}


def row_losses(logits: tf.Tensor, batch: Mapping[str, tf.Tensor], objective: Objective = PLAIN) -> tf.Tensor:
    """Cross-entropy per row, float32 [rows].

    Args:
        logits: float32 [rows, classes].
        batch: with LABEL_ID int32 [rows].
        objective: its smoothing is the share of the target that is spread evenly over all classes: with 0.1 and two
            classes the target of label 0 is [0.95, 0.05]. Label weights are row weights here. Its own loss takes logits
            and label ids.
    """
    label_ids, smoothing = batch[LABEL_ID], objective.smoothing
    if objective.own is not None:
        return objective.own(logits, label_ids)
    if smoothing == 0.0:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(label_ids, logits)
    classes = logits.shape[-1]
    target = tf.one_hot(label_ids, classes) * (1.0 - smoothing) + smoothing / classes
    return tf.nn.softmax_cross_entropy_with_logits(target, logits)


def score_sums(
    logits: tf.Tensor, batch: Mapping[str, tf.Tensor], weights: tf.Tensor, objective: Objective = PLAIN
) -> tf.Tensor:
    """float32 [loss sum, correct rows, rows].

    Args:
        logits: float32 [rows, classes].
        batch: with LABEL_ID int32 [rows].
        weights: float32 [rows]; rows of weight 0 do not count.
        objective: only its own loss counts: scores are without smoothing.
    """
    right = tf.cast(tf.argmax(logits, -1, tf.int32) == batch[LABEL_ID], tf.float32)
    return tf.stack(
        [
            tf.reduce_sum(row_losses(logits, batch, Objective(own=objective.own)) * weights),
            tf.reduce_sum(right * weights),
            tf.reduce_sum(weights),
        ]
    )


def scores(sums: Sequence[float], objective: Objective = PLAIN) -> dict[str, float]:
    """`[17.0, 95.0, 100.0] -> {"accuracy": 0.95, "loss": 0.17}`."""
    del objective
    loss, correct, rows = (float(value) for value in sums)
    return {"accuracy": correct / rows, "loss": loss / rows}


def chosen(sums: Sequence[float]) -> Constants:
    """Nothing is chosen: the most probable label is the answer."""
    del sums
    return {}


def served_outputs(
    logits: tf.Tensor, classes: tf.Tensor, constants: Constants | None = None
) -> dict[str, tf.Tensor]:
    """PROBABILITIES float32 [batch, classes], CLASSES string [batch, classes], PREDICTED_LABEL string [batch].

    Args:
        logits: float32 [batch, classes].
        classes: the labels in order of their ids, string [classes].
        constants: none.
    """
    del constants
    probabilities = tf.nn.softmax(logits)
    best = tf.argmax(probabilities, -1)
    return {
        PROBABILITIES: probabilities,
        CLASSES: tf.tile(classes[None], [tf.shape(probabilities)[0], 1]),
        PREDICTED_LABEL: tf.gather(classes, best),
    }
