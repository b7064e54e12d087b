"""Label ids of rows. Imports only NumPy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def tuples(rows: Iterable[Iterable[int]]) -> np.ndarray:
    """`[[2, 0], []] -> [(0, 2), ()]`, object [rows]."""
    ids = [tuple(sorted({int(i) for i in row if i >= 0})) for row in rows]
    array = np.empty(len(ids), object)
    array[:] = ids
    return array
