"""The Evaluator's metrics of served answers, equal to scikit-learn's. Imports only NumPy.

F1, precision and recall are of the labels that the model answers with, so its thresholds count. A row that has no label
and gets none is right: its sample F1 is 1.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.features import APPLYING_LABELS, CLASSES, PROBABILITIES
from models.tasks.class_counts import ClassCounts, f1, macro, micro_f1, precision, recall

# The order of the scores matters to these.
NEEDS_ROWS = frozenset({"auc", "mean_average_precision"})
_SINGLE_SUMS = 4  # rows, cross-entropy, sample F1, rows that are right as a whole
_TINY = 1e-7  # served probabilities are float32, in which 1 - 1e-8 is 1

Row = tuple[np.ndarray, np.ndarray, np.ndarray]


def row(label: Any, outputs: Mapping[str, Any]) -> Row:
    """`(["a"], {"labels": ["b", ""], ...}) -> ([1, 0], [0, 1], [0.2, 0.9])`: has, predicted (bool), score (float32).

    Args:
        label: the values of the label column, bytes; None or empty if there are none.
        outputs: served outputs of the row.
    """
    ids = _ids(tuple(np.asarray(outputs[CLASSES]).reshape(-1).tolist()))
    labels = [] if label is None else np.asarray(label).reshape(-1).tolist()
    applying = np.asarray(outputs[APPLYING_LABELS]).reshape(-1).tolist()
    scores = np.asarray(outputs[PROBABILITIES], np.float32).reshape(-1)
    return _several(labels, ids), _several((name for name in applying if name), ids), scores


@functools.lru_cache(maxsize=2)
def _ids(classes: tuple[bytes, ...]) -> Mapping[bytes, int]:
    return {name: i for i, name in enumerate(classes)}


def _several(labels: Any, ids: Mapping[bytes, int]) -> np.ndarray:
    has = np.zeros(len(ids), np.bool_)
    has[[ids[label] for label in labels if label in ids]] = True
    return has


def sums(row: Row) -> np.ndarray:
    """float64 [4 + 3 * classes]: rows, cross-entropy, sample F1, right rows; labelled, predicted, both by label."""
    has, predicted, scores = row
    both, whole = np.count_nonzero(has & predicted), np.count_nonzero(has) + np.count_nonzero(predicted)
    sample_f1 = 2 * both / whole if whole else 1.0
    single = [1.0, _cross_entropy(has, scores), sample_f1, float(np.array_equal(has, predicted))]
    return np.concatenate([single, has, predicted, has & predicted])


def _cross_entropy(has: np.ndarray, scores: np.ndarray) -> float:
    right = np.where(has, scores, 1.0 - scores).astype(np.float64)
    return float(-np.log(np.clip(right, _TINY, 1.0)).mean())


def from_sums(metric: str, sums: np.ndarray) -> dict[int | None, float]:
    """A metric, under None, and its values by label id, of labels that occur.

    Args:
        metric: one of `METRICS` that is not in NEEDS_ROWS.
        sums: of `sums`, added over rows.
    """
    rows = float(sums[0])
    if not rows:
        return {None: float("nan")}
    counts = ClassCounts(*sums[_SINGLE_SUMS:].reshape(3, -1))
    if metric in _SINGLE:
        return {None: float(sums[_SINGLE[metric]]) / rows}
    if metric == "micro_f1":
        return {None: micro_f1(counts)}
    values = _BY_LABEL[metric](counts)
    by_label: dict[int | None, float] = {int(i): float(values[i]) for i in np.flatnonzero(counts.occurs)}
    return {None: macro(values, counts), **by_label}


_SINGLE = {"binary_cross_entropy": 1, "sample_f1": 2, "subset_accuracy": 3}
_BY_LABEL = {
    "macro_f1": f1,
    "macro_precision": precision,
    "macro_recall": recall,
}


def from_rows(metric: str, rows: Sequence[np.ndarray]) -> dict[int | None, float]:
    """AUC or average precision: the mean over labels, under None, and of each label that has a value.

    Args:
        metric: one of NEEDS_ROWS.
        rows: arrays of `row`, stacked: has and predicted bool, scores float32, each [rows, classes].
    """
    has, _, scores = rows
    of_label = roc_area if metric == "auc" else average_precision
    values = {i: of_label(has[:, i], scores[:, i]) for i in range(has.shape[1])}
    known: dict[int | None, float] = {i: value for i, value in values.items() if not np.isnan(value)}
    return {None: float(np.mean(list(known.values()))) if known else float("nan"), **known}


def roc_area(has: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve; NaN if all rows or none have the label.

    >>> roc_area(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.5, 0.8]))
    0.75
    """
    positive = int(np.count_nonzero(has))
    negative = len(has) - positive
    if not positive or not negative:
        return float("nan")
    hits, alarms = _steps(has, scores)
    return float(np.trapezoid(np.append(0, hits), np.append(0, alarms)) / positive / negative)


def average_precision(has: np.ndarray, scores: np.ndarray) -> float:
    """Sum of precision times gain in recall; NaN if no row has the label.

    >>> average_precision(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.5, 0.8])).__round__(4)
    0.8333
    """
    if not has.any():
        return float("nan")
    hits, alarms = _steps(has, scores)
    return float((np.diff(hits, prepend=0) * hits / (hits + alarms)).sum() / hits[-1])


def _steps(has: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows with and without the label whose score is at least each distinct score, from the highest score down."""
    order = np.argsort(-scores, kind="stable")
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    return np.cumsum(has[order])[last_of_equals], np.cumsum(~has[order])[last_of_equals]
