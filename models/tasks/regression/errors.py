"""Metrics of predicted numbers, equal to those of scikit-learn and SciPy. Imports only NumPy."""

from __future__ import annotations

import math

import numpy as np


def rmse(targets: np.ndarray, values: np.ndarray) -> float:
    """Root of the mean squared error.

    >>> rmse(np.array([1.0, 2.0]), np.array([1.0, 4.0])).__round__(4)
    1.4142
    """
    return math.sqrt(float(((values - targets) ** 2).mean()))


def mae(targets: np.ndarray, values: np.ndarray) -> float:
    """Mean absolute error.

    >>> mae(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    1.0
    """
    return float(np.abs(values - targets).mean())


def r2(targets: np.ndarray, values: np.ndarray) -> float:
    """Share of the variance that is explained, 1 at most; NaN if all targets are equal.

    >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    0.5
    """
    spread = float(((targets - targets.mean()) ** 2).sum())
    return 1.0 - float(((values - targets) ** 2).sum()) / spread if spread > 0.0 else math.nan


def pearson(targets: np.ndarray, values: np.ndarray) -> float:
    """Linear correlation; NaN if all targets or all values are equal."""
    x, y = targets - targets.mean(), values - values.mean()
    spread = math.sqrt(float((x**2).sum())) * math.sqrt(float((y**2).sum()))
    return max(-1.0, min(1.0, float((x * y).sum()) / spread)) if spread > 0.0 else math.nan


def spearman(targets: np.ndarray, values: np.ndarray) -> float:
    """Correlation of the ranks; equal numbers have their mean rank."""
    return pearson(ranks(targets), ranks(values))


def ranks(numbers: np.ndarray) -> np.ndarray:
    """`[3.0, 1.0, 3.0] -> [2.5, 1.0, 2.5]`."""
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])


MEASURES = {"rmse": rmse, "mae": mae, "r2": r2, "pearson": pearson, "spearman": spearman}
