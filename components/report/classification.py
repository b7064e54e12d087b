"""Figures of a classifier from its predictions: confusion matrix, ROC curve, calibration. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

MATRIX_CLASSES = (
    40  # Kubeflow draws 700 pixels; more classes cannot be read, and metadata grows with the square
)
OTHERS = "(all others)"
_ROC_POINTS = 200
_BINS = 10


@dataclass(frozen=True)
class ConfusionMatrix:
    """`counts` int64 [classes, classes]: row is the label, column the prediction."""

    classes: tuple[str, ...]
    counts: np.ndarray


class RocPoint(NamedTuple):
    """Rates when a row counts as positive from `threshold` on."""

    threshold: float
    false_positive_rate: float
    true_positive_rate: float


@dataclass(frozen=True)
class RocCurve:
    """Of the second class against the first. `area` is exact; of the points at most 200 are kept."""

    positive: str
    points: tuple[RocPoint, ...]
    area: float


class Bin(NamedTuple):
    """Rows whose highest probability lies in [low, high); the last bin has 1.0 too."""

    low: float
    high: float
    rows: int
    confidence: float  # mean of the highest probability
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How far a model's confidence can be trusted; `error` is the expected calibration error (10 bins)."""

    bins: tuple[Bin, ...]
    error: float


def confusion_matrix(
    label_ids: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> ConfusionMatrix:
    """Counts of labels (rows) and most probable classes (columns).

    Args:
      label_ids: int64 [rows]; negative ones are left out.
      probabilities: float32 [rows, classes].
      classes: their names.
    """
    counts = np.zeros((len(classes), len(classes)), np.int64)
    known = label_ids >= 0
    np.add.at(counts, (label_ids[known], probabilities[known].argmax(axis=1)), 1)
    return ConfusionMatrix(tuple(classes), counts)


def folded(matrix: ConfusionMatrix, limit: int = MATRIX_CLASSES) -> ConfusionMatrix:
    """The same with at most `limit` classes: those with the most mistakes, and all others as one."""
    count = len(matrix.classes)
    if count <= limit:
        return matrix
    mistakes = matrix.counts.sum(0) + matrix.counts.sum(1) - 2 * np.diag(matrix.counts)
    kept = sorted(np.argsort(-mistakes, kind="stable")[: limit - 1])
    place = np.full(count, limit - 1)
    place[kept] = np.arange(limit - 1)
    counts = np.zeros((limit, limit), np.int64)
    np.add.at(counts, (place[:, None], place[None, :]), matrix.counts)
    return ConfusionMatrix((*(matrix.classes[i] for i in kept), OTHERS), counts)


def roc_curve(label_ids: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> RocCurve | None:
    """The curve of a model with two classes; None for others, or when a class has no row."""
    known = label_ids >= 0
    positive = label_ids[known] == 1
    if len(classes) != 2 or positive.all() or not positive.any():
        return None
    scores = probabilities[known, 1].astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    hits, alarms = np.cumsum(positive[order])[last_of_equals], np.cumsum(~positive[order])[last_of_equals]
    recall, fall_out = np.append(0, hits / positive.sum()), np.append(0, alarms / (~positive).sum())
    # The first point takes no row: its threshold is finite, as JSON wants it.
    thresholds = np.append(1.0, scores[order][last_of_equals])
    kept = np.unique(np.linspace(0, len(recall) - 1, min(_ROC_POINTS, len(recall))).astype(int))
    points = tuple(RocPoint(float(thresholds[i]), float(fall_out[i]), float(recall[i])) for i in kept)
    return RocCurve(classes[1], points, float(np.trapezoid(recall, fall_out)))


def calibration(label_ids: np.ndarray, probabilities: np.ndarray) -> Calibration | None:
    """Confidence against accuracy in ten equal bins, without the empty ones; None without a row."""
    known = label_ids >= 0
    if not known.any():
        return None
    confidence = probabilities[known].max(axis=1).astype(np.float64)
    right = probabilities[known].argmax(axis=1) == label_ids[known]
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    bins = tuple(
        Bin(
            i / _BINS,
            (i + 1) / _BINS,
            int(inside.sum()),
            float(confidence[inside].mean()),
            float(right[inside].mean()),
        )
        for i in range(_BINS)
        if (inside := place == i).any()
    )
    error = sum(b.rows * abs(b.confidence - b.accuracy) for b in bins) / len(confidence)
    return Calibration(bins, float(error))


def confusion_metadata(matrix: ConfusionMatrix) -> dict[str, Any]:
    """`confusionMatrix` as Kubeflow's frontend reads it: a row is a label, a column a prediction."""
    return {
        "annotationSpecs": [{"displayName": name} for name in matrix.classes],
        "rows": [{"row": [int(value) for value in row]} for row in matrix.counts],
    }


def roc_metadata(curve: RocCurve) -> list[dict[str, float]]:
    """`confidenceMetrics` as Kubeflow's frontend reads them."""
    return [
        {
            "confidenceThreshold": point.threshold,
            "recall": point.true_positive_rate,
            "falsePositiveRate": point.false_positive_rate,
        }
        for point in curve.points
    ]
