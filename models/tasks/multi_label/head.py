"""Loss, scores and served outputs of a head with one logit per label, each a decision of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from models.features import APPLYING_LABELS, CLASSES, PROBABILITIES
from models.tasks.class_counts import ClassCounts, f1, macro, micro_f1, precision, recall
from models.tasks.logit_bins import BINS, areas, mean_of_known
from models.tasks.multi_label.labels import LABEL_IDS
from models.tasks.multi_label.thresholds import average_precisions, best_edges, decided, edge
from models.tasks.objective import PLAIN, Constants, Objective
from models.tasks.rows_by_logit import rows_by_logit

THRESHOLDS, OFFSETS = "thresholds", "offsets"
_SINGLE_SUMS = 5  # loss, cross-entropy, rows, sum of sample F1, rows that are right as a whole


def size(labels: Sequence[str]) -> int:
    """Number of logits per row."""
    return len(labels)


def constants(label_counts: Sequence[float], rows: int) -> Constants:
    """The log-odds of each label in the train split, which are added to the logits.

    Without them the first steps push all logits down together, from 0 to those of rare labels; with dozens of labels
    that drives an encoder's pooler to where it no longer learns.

    `[1, 7], 8 -> {"offsets": [-1.386, 1.386]}`: (1 + 1) to (7 + 1), and the reverse.
    """
    with_label = np.asarray(label_counts, np.float64)
    return {OFFSETS: [float(x) for x in np.log((with_label + 1.0) / (rows - with_label + 1.0))]}


def _shifted(logits: tf.Tensor, constants: Constants) -> tf.Tensor:
    return logits + np.array(constants.get(OFFSETS, 0.0), np.float32)


def row_losses(logits: tf.Tensor, batch: Mapping[str, tf.Tensor], objective: Objective = PLAIN) -> tf.Tensor:
    """Sigmoid cross-entropy per row, the weighted mean over its labels, float32 [rows].

    Args:
        logits: float32 [rows, classes].
        batch: with LABEL_IDS int32 [rows, most].
        objective: smoothing 0.1 makes the targets 0.05 and 0.95; `label_weights` are the labels' shares in the mean.
            Its own loss takes the logits of the labels' probabilities and targets of 0 and 1, both float32 [rows, classes].
    """
    logits = _shifted(logits, objective.constants)
    if objective.own is not None:
        return objective.own(logits, _targets(batch, logits))
    target = _targets(batch, logits) * (1.0 - objective.smoothing) + objective.smoothing / 2.0
    losses = tf.nn.sigmoid_cross_entropy_with_logits(target, logits)
    if objective.label_weights is None:
        return tf.reduce_mean(losses, -1)
    weights = np.array(objective.label_weights, np.float32)
    return tf.linalg.matvec(losses, tf.constant(weights / weights.sum()))


def _targets(batch: Mapping[str, tf.Tensor], logits: tf.Tensor) -> tf.Tensor:
    """LABEL_IDS -> float32 [rows, classes], 1 for the labels of a row."""
    one_hot = tf.one_hot(batch[LABEL_IDS], logits.shape[-1])
    # The zeros are for a batch whose rows have no label at all.
    return tf.reduce_max(tf.concat([one_hot, tf.zeros_like(logits)[:, None]], 1), 1)


def score_sums(
    logits: tf.Tensor, batch: Mapping[str, tf.Tensor], weights: tf.Tensor, objective: Objective = PLAIN
) -> tf.Tensor:
    """float32 [5 + 2 * classes * BINS]: loss, cross-entropy, rows, sample F1 and right rows at 0.5; rows by logit.

    Args:
        logits: float32 [rows, classes].
        batch: with LABEL_IDS int32 [rows, most].
        weights: float32 [rows]; rows of weight 0 do not count.
        objective: only its constants and its own loss count: scores are without weights and smoothing.
    """
    entropies = row_losses(logits, batch, Objective(constants=objective.constants))
    own = Objective(constants=objective.constants, own=objective.own)
    losses = entropies if objective.own is None else row_losses(logits, batch, own)
    logits = _shifted(logits, objective.constants)
    target = _targets(batch, logits)
    predicted = tf.cast(logits >= 0.0, tf.float32)
    both = tf.reduce_sum(target * predicted, -1)
    whole = tf.reduce_sum(target + predicted, -1)
    sample_f1 = tf.where(whole > 0.0, 2.0 * both / tf.maximum(whole, 1.0), 1.0)
    exact = tf.cast(tf.reduce_all(tf.equal(target, predicted), -1), tf.float32)
    single = tf.stack([losses, entropies, tf.ones_like(both), sample_f1, exact])
    return tf.concat([tf.linalg.matvec(single, weights), rows_by_logit(logits, target, weights)], 0)


def scores(sums: Sequence[float], objective: Objective = PLAIN) -> dict[str, float]:
    """`SCORES` of a split: F1, precision and recall at the thresholds that `chosen` would choose, the others at 0.5."""
    del objective
    loss, entropy, rows, sample_f1, exact = (float(value) for value in sums[:_SINGLE_SUMS])
    bins = _bins(sums)
    counts = ClassCounts(*decided(*bins, best_edges(*bins)))
    return {
        "micro_f1": micro_f1(counts),
        "macro_f1": macro(f1(counts), counts),
        "macro_precision": macro(precision(counts), counts),
        "macro_recall": macro(recall(counts), counts),
        "auc": mean_of_known(areas(*bins)),
        "mean_average_precision": mean_of_known(average_precisions(*bins)),
        "sample_f1": sample_f1 / rows,
        "subset_accuracy": exact / rows,
        "binary_cross_entropy": entropy / rows,
        "loss": loss / rows,
    }


def chosen(sums: Sequence[float]) -> Constants:
    """The threshold of each label: the probability from which on it applies, with the highest F1 on the split."""
    bins = _bins(sums)
    logits = edge(best_edges(*bins))
    return {THRESHOLDS: [float(value) for value in (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)]}


def _bins(sums: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    without, with_label = np.asarray(sums[_SINGLE_SUMS:], np.float64).reshape(2, -1, BINS)
    return without, with_label


def served_outputs(
    logits: tf.Tensor, classes: tf.Tensor, constants: Constants | None = None
) -> dict[str, tf.Tensor]:
    """PROBABILITIES float32 [batch, classes], CLASSES and APPLYING_LABELS string [batch, classes].

    APPLYING_LABELS begins with the labels whose probability reaches their threshold, the most probable first, and is
    filled up with "".

    Args:
        logits: float32 [batch, classes].
        classes: the labels in order of their ids, string [classes].
        constants: THRESHOLDS, 0.5 without, and OFFSETS.
    """
    logits = _shifted(logits, constants or {})
    probabilities = tf.sigmoid(logits)
    thresholds = np.array((constants or {}).get(THRESHOLDS, 0.5), np.float32)
    names = tf.tile(classes[None], [tf.shape(logits)[0], 1])
    applying = tf.where(probabilities >= thresholds, names, "")
    order = tf.argsort(tf.where(probabilities >= thresholds, logits, -np.inf), direction="DESCENDING")
    return {
        PROBABILITIES: probabilities,
        CLASSES: names,
        APPLYING_LABELS: tf.gather(applying, order, batch_dims=1),
    }
