"""Loss, scores and served outputs of a head with one logit per label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from models.features import CLASSES, LABEL_ID, PREDICTED_LABEL, PROBABILITIES
from models.tasks.class_counts import ClassCounts, f1, macro, matthews, precision, recall
from models.tasks.logit_bins import BINS, areas, mean_of_known
from models.tasks.objective import PLAIN, Constants, Objective
from models.tasks.rows_by_logit import rows_by_logit
from models.tasks.single_label.facts import TOP


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
    """float32 [4 + metrics of TOP + (3 + 2 * BINS) * classes]: sums of rows, of classes, and of classes by logit.

    Of rows: loss, correct, rows, cross-entropy, hits. Of classes: labelled, predicted and both. By logit: rows of other
    classes and of the class, by the bin of its log-odds.

    Args:
        logits: float32 [rows, classes].
        batch: with LABEL_ID int32 [rows].
        weights: float32 [rows]; rows of weight 0 do not count.
        objective: only its own loss counts: scores are without smoothing.
    """
    labels, classes = batch[LABEL_ID], logits.shape[-1]
    predicted = tf.argmax(logits, -1, tf.int32)
    right, rank = tf.cast(predicted == labels, tf.float32), _ranks(logits, labels)
    hits = [tf.cast(rank < count, tf.float32) for count in TOP.values()]
    entropies = row_losses(logits, batch)
    losses = entropies if objective.own is None else row_losses(logits, batch, objective)
    rows = tf.stack([losses, right, tf.ones_like(right), entropies, *hits])
    target = tf.one_hot(labels, classes)
    by_class = [
        tf.linalg.matvec(one, weights, transpose_a=True) for one in (target, tf.one_hot(predicted, classes))
    ]
    both = tf.linalg.matvec(target, weights * right, transpose_a=True)
    by_logit = rows_by_logit(_log_odds(logits), target, weights)
    return tf.concat([tf.linalg.matvec(rows, weights), *by_class, both, by_logit], 0)


def _log_odds(logits: tf.Tensor) -> tf.Tensor:
    """Of each class against all others, float32 [rows, classes]; infinite where the probability is 1."""
    log_p = tf.nn.log_softmax(logits)
    return log_p - tf.math.log(-tf.math.expm1(log_p))


def _ranks(logits: tf.Tensor, label_ids: tf.Tensor) -> tf.Tensor:
    """How many classes come before the label, or with an equal logit and a lower id, as argmax chooses; int32 [rows]."""
    own = tf.gather(logits, label_ids, batch_dims=1)[:, None]
    is_earlier = tf.range(logits.shape[-1])[None] < label_ids[:, None]
    return tf.math.count_nonzero((logits > own) | ((logits == own) & is_earlier), -1, dtype=tf.int32)


def scores(sums: Sequence[float], objective: Objective = PLAIN) -> dict[str, float]:
    """Computes `SCORES` from `score_sums`: `[17.0, 95.0, 100.0, ...] -> {"accuracy": 0.95, ..., "loss": 0.17}`."""
    del objective
    of_rows, of_classes = np.split(np.asarray(sums, np.float64), [4 + len(TOP)])
    loss, correct, rows, entropy, *hits = of_rows.tolist()
    by_class = of_classes.reshape(3 + 2 * BINS, -1)  # a row of it has no meaning where it is of bins
    counts = ClassCounts(*by_class[:3])
    bins = by_class[3:].reshape(2, -1, BINS)
    return {
        "accuracy": correct / rows,
        "macro_f1": macro(f1(counts), counts),
        "macro_precision": macro(precision(counts), counts),
        "macro_recall": macro(recall(counts), counts),
        "mcc": matthews(counts, rows),
        **{name: hit / rows for name, hit in zip(TOP, hits, strict=True)},
        "micro_f1": correct / rows,
        "cross_entropy": entropy / rows,
        "auc": mean_of_known(areas(*bins)),
        "loss": loss / rows,
    }


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
