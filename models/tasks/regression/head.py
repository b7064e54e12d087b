"""Loss, scores and served outputs of a head with one logit: the number, in standard deviations from the mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from models.features import TARGET_NAME, VALUE
from models.tasks.objective import PLAIN, Constants, Objective
from models.tasks.regression.labels import TARGET

MEAN, DEVIATION = "mean", "deviation"
HUBER_DELTA = 1.0  # deviations; beyond it the loss is linear
# The joint histogram of target and prediction from which Spearman's correlation is estimated.
_RANKS = 128
_WIDEST = 4.0  # deviations
_SUMS = 9


def size(labels: Sequence[str]) -> int:
    """One logit per row."""
    return len(labels)


def constants(label_counts: Sequence[float], rows: int) -> Constants:
    """Mean and standard deviation of the targets; the deviation is 1 if all targets are equal.

    `[2.0, 4.0, 10.0], 2 -> {"mean": [2.0], "deviation": [1.0]}`

    Args:
        label_counts: rows, sum and sum of squares, from `labels.counts`.
        rows: how many.
    """
    _, total, squares = (float(value) for value in label_counts)
    mean = total / rows
    variance = max(0.0, squares / rows - mean**2)
    # The difference of two large numbers is only rounding if all targets are equal.
    is_constant = variance <= 1e-12 * mean**2
    return {MEAN: [mean], DEVIATION: [1.0 if is_constant else math.sqrt(variance)]}


def row_losses(logits: tf.Tensor, batch: Mapping[str, tf.Tensor], objective: Objective = PLAIN) -> tf.Tensor:
    """The loss of each row in standard deviations, float32 [rows].

    Args:
        logits: float32 [rows, 1].
        batch: with TARGET float32 [rows].
        objective: its loss is mse (squared error), mae (absolute error) or huber (squared error / 2 up to HUBER_DELTA).
            Its own loss takes predictions and targets in standard deviations, both float32 [rows].
    """
    target = _standardized(batch[TARGET], objective)
    if objective.own is not None:
        return objective.own(logits[:, 0], target)
    error = logits[:, 0] - target
    if objective.loss == "mae":
        return tf.abs(error)
    if objective.loss == "huber":
        size = tf.abs(error)
        return tf.where(size <= HUBER_DELTA, 0.5 * error**2, HUBER_DELTA * (size - 0.5 * HUBER_DELTA))
    return error**2


def _standardized(target: tf.Tensor, objective: Objective) -> tf.Tensor:
    mean, deviation = _scale(objective.constants)
    return (target - mean) / deviation


def _scale(constants: Constants) -> tuple[float, float]:
    return constants.get(MEAN, [0.0])[0], constants.get(DEVIATION, [1.0])[0]


def score_sums(
    logits: tf.Tensor, batch: Mapping[str, tf.Tensor], weights: tf.Tensor, objective: Objective = PLAIN
) -> tf.Tensor:
    """float32 [9 + _RANKS ** 2]: sums of powers, in deviations, and a joint histogram of target and prediction.

    Args:
        logits: float32 [rows, 1].
        batch: with TARGET float32 [rows].
        weights: float32 [rows]; rows of weight 0 do not count.
        objective: with the constants of the train split.
    """
    target, predicted = _standardized(batch[TARGET], objective), logits[:, 0]
    error = predicted - target
    powers = [
        row_losses(logits, batch, objective),
        tf.ones_like(error),
        error**2,
        tf.abs(error),
        target,
        target**2,
        predicted,
        predicted**2,
        target * predicted,
    ]
    segment = _rank(target) * _RANKS + _rank(predicted)
    joint = tf.math.unsorted_segment_sum(weights, segment, _RANKS**2)
    # Not a product: a target that fills up a batch may be anything, also after it is squared.
    counted = tf.where(weights[None] > 0.0, tf.stack(powers) * weights, 0.0)
    return tf.concat([tf.reduce_sum(counted, -1), joint], 0)


def _rank(values: tf.Tensor) -> tf.Tensor:
    position = (values + _WIDEST) * (_RANKS / (2 * _WIDEST))
    return tf.cast(tf.clip_by_value(position, 0.0, _RANKS - 1.0), tf.int32)


def scores(sums: Sequence[float], objective: Objective = PLAIN) -> dict[str, float]:
    """`SCORES` of a split in the units of the data, except the loss; Spearman's correlation is estimated from bins."""
    loss, rows, squares, sizes, y, yy, p, pp, yp = (float(value) for value in sums[:_SUMS])
    deviation = _scale(objective.constants)[1]
    spread, spread_of_answers = yy - y * y / rows, pp - p * p / rows
    joint = np.asarray(sums[_SUMS:], np.float64).reshape(_RANKS, _RANKS)
    return {
        "rmse": deviation * math.sqrt(squares / rows),
        "mae": deviation * sizes / rows,
        "r2": 1.0 - squares / spread if spread > 1e-9 * rows else math.nan,
        "pearson": _correlation(yp - y * p / rows, spread, spread_of_answers, rows),
        "spearman": _rank_correlation(joint),
        "loss": loss / rows,
    }


def _correlation(product: float, spread: float, other: float, rows: float) -> float:
    if min(spread, other) <= 1e-9 * rows:
        return math.nan
    return max(-1.0, min(1.0, product / math.sqrt(spread * other)))


def _rank_correlation(joint: np.ndarray) -> float:
    """Spearman's correlation of a contingency table; values of one bin are ties."""
    rows = joint.sum()
    ranks = [np.cumsum(n) - n / 2 - rows / 2 for n in (joint.sum(1), joint.sum(0))]
    spread, other = ((n * rank**2).sum() for n, rank in zip((joint.sum(1), joint.sum(0)), ranks, strict=True))
    return _correlation(float(ranks[0] @ joint @ ranks[1]), float(spread), float(other), float(rows))


def chosen(sums: Sequence[float]) -> Constants:
    """Nothing is chosen on the eval split."""
    del sums
    return {}


def served_outputs(
    logits: tf.Tensor, classes: tf.Tensor, constants: Constants | None = None
) -> dict[str, tf.Tensor]:
    """VALUE float32 [batch], in the units of the data, and TARGET_NAME string [batch].

    Args:
        logits: float32 [batch, 1].
        classes: the name of the number, string [1].
        constants: MEAN and DEVIATION of the train split.
    """
    mean, deviation = _scale(constants or {})
    return {VALUE: logits[:, 0] * deviation + mean, TARGET_NAME: tf.repeat(classes[:1], tf.shape(logits)[0])}
