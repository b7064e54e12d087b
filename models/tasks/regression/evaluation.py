"""The Evaluator's metrics of served answers. Imports only NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.features import VALUE
from models.tasks.regression.errors import MEASURES

NEEDS_ROWS = frozenset(MEASURES)

Row = tuple[np.ndarray, np.ndarray]


def row(label: Any, outputs: Mapping[str, Any]) -> Row:
    """`(3.0, {"value": 2.5}) -> (3.0, 2.5)`, float64 scalars; a row without a label has NaN."""
    values = np.asarray(label if label is not None else np.nan, np.float64).reshape(-1)
    target = values[0] if values.size else np.nan
    return np.asarray(target), np.asarray(np.asarray(outputs[VALUE], np.float64).reshape(-1)[0])


def from_rows(metric: str, rows: Sequence[np.ndarray]) -> dict[int | None, float]:
    """A metric, under None; rows without a label do not count.

    Args:
        metric: one of NEEDS_ROWS.
        rows: targets and values, each float64 [rows].
    """
    known = ~np.isnan(rows[0])
    if not known.any():
        return {None: float("nan")}
    return {None: MEASURES[metric](rows[0][known], rows[1][known])}
