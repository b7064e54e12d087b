"""Precision, recall, F1 and Matthews' correlation of classes from counts of rows, as in scikit-learn. Imports only NumPy."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class ClassCounts(NamedTuple):
    """Weighted rows that have a class, that are answered with it, and both; each float64 [classes]."""

    labelled: np.ndarray
    predicted: np.ndarray
    correct: np.ndarray

    @property
    def occurs(self) -> np.ndarray:
        """Whether a class is labelled or predicted, bool [classes]: otherwise it says nothing about the model."""
        return np.asarray((self.labelled + self.predicted) > 0)


def precision(counts: ClassCounts) -> np.ndarray:
    """Share of the rows predicted as a class that belong to it; 0 if no row was predicted as the class."""
    return _ratio(counts.correct, counts.predicted)


def recall(counts: ClassCounts) -> np.ndarray:
    """Share of a class's rows that were predicted as the class; 0 if the class has no row."""
    return _ratio(counts.correct, counts.labelled)


def f1(counts: ClassCounts) -> np.ndarray:
    """Harmonic mean of precision and recall; 0 if both are."""
    return _ratio(2 * counts.correct, counts.predicted + counts.labelled)


def micro_f1(counts: ClassCounts) -> float:
    """F1 of all decisions together; NaN if no row has a class and none was predicted."""
    whole = float((counts.labelled + counts.predicted).sum())
    return 2 * float(counts.correct.sum()) / whole if whole else math.nan


def macro(values: np.ndarray, counts: ClassCounts) -> float:
    """Unweighted mean over the classes that occur; NaN if none does."""
    return float(values[counts.occurs].mean()) if counts.occurs.any() else math.nan


def matthews(counts: ClassCounts, rows: float) -> float:
    """Matthews' correlation of labels and predictions of rows with one class each, in [-1, 1]; 0 if one of them is constant.

    Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient" (2004).
    """
    correct, squared = float(counts.correct.sum()), rows**2
    labelled, predicted = (float((part**2).sum()) for part in (counts.labelled, counts.predicted))
    spread = math.sqrt(max(0.0, squared - labelled)) * math.sqrt(max(0.0, squared - predicted))
    chance = float((counts.labelled * counts.predicted).sum())
    return (correct * rows - chance) / spread if spread > 0.0 else 0.0


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
