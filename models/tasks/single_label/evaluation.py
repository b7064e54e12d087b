"""The Evaluator's metrics that need all probabilities of a row. Imports only NumPy."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from models.features import CLASSES, PROBABILITIES
from models.tasks.single_label.facts import TOP

NEEDS_ROWS: frozenset[str] = frozenset()

Row = tuple[np.ndarray]


def row(label: Any, outputs: Mapping[str, Any]) -> Row:
    """`(b"b", {"all_classes": [b"a", b"b"], "probabilities": [0.8, 0.2]}) -> 1`: the label's rank, int64, 0 for the first.

    Args:
        label: the value of the label column, bytes, or an integer, which is a label id; None or empty if there is none.
        outputs: served outputs of the row.

    Returns:
        How many classes come before the label by probability, or with an equal one by id, as argmax chooses; the number of
        classes if the label is none of them.
    """
    ids = _ids(tuple(np.asarray(outputs[CLASSES]).reshape(-1).tolist()))
    values = [] if label is None else np.asarray(label).reshape(-1).tolist()
    place = (
        ids.get(values[0] if isinstance(values[0], bytes) else str(values[0]).encode()) if values else None
    )
    if place is None:
        return (np.asarray(len(ids)),)
    scores = np.asarray(outputs[PROBABILITIES], np.float32).reshape(-1)
    before = np.count_nonzero(scores > scores[place]) + np.count_nonzero(scores[:place] == scores[place])
    return (np.asarray(before),)


@functools.lru_cache(maxsize=2)
def _ids(classes: tuple[bytes, ...]) -> Mapping[bytes, int]:
    return {name: i for i, name in enumerate(classes)}


def sums(row: Row) -> np.ndarray:
    """float64 [1 + metrics of TOP]: rows, and hits of each."""
    return np.array([1.0, *(float(row[0] < count) for count in TOP.values())])


def from_sums(metric: str, sums: np.ndarray) -> dict[int | None, float]:
    """A metric, under None.

    Args:
        metric: a key of TOP.
        sums: of `sums`, added over rows.
    """
    rows = float(sums[0])
    return {None: float(sums[1 + list(TOP).index(metric)]) / rows if rows else float("nan")}
