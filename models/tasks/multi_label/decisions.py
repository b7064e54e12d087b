"""Label ids of rows; precision, recall and F1 of labels from counts. Imports only NumPy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def tuples(rows: Iterable[Iterable[int]]) -> np.ndarray:
    """`[[2, 0], []] -> [(0, 2), ()]`, object [rows]."""
    ids = [tuple(sorted({int(i) for i in row if i >= 0})) for row in rows]
    array = np.empty(len(ids), object)
    array[:] = ids
    return array


def precision(labelled: np.ndarray, predicted: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Share of the rows with a predicted label that have it, float64 [labels]; 0 if it was never predicted."""
    del labelled
    return _ratio(correct, predicted)


def recall(labelled: np.ndarray, predicted: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Share of the rows with a label for which it was predicted, float64 [labels]; 0 if no row has it."""
    del predicted
    return _ratio(correct, labelled)


def f1(labelled: np.ndarray, predicted: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Harmonic mean of both, float64 [labels]; 0 if both are."""
    return _ratio(2 * correct, labelled + predicted)


def micro_f1(labelled: np.ndarray, predicted: np.ndarray, correct: np.ndarray) -> float:
    """F1 of all decisions together; NaN if no row has a label and none was predicted."""
    whole = float((labelled + predicted).sum())
    return 2 * float(correct.sum()) / whole if whole else float("nan")


def macro(values: np.ndarray, labelled: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the labels that occur; a label that no row has and none was predicted says nothing about the model."""
    occurs = (labelled + predicted) > 0
    return float(values[occurs].mean()) if occurs.any() else float("nan")


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
