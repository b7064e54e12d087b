"""How many rows with and without a label have a logit in each of many bins, and what follows from it. Imports only NumPy.

BINS equal ranges cover [LOWEST, -LOWEST). Memory does not grow with rows. Decisions at the edge of a bin are counted
exactly; areas take the logits of a bin as equal.
"""

from __future__ import annotations

import numpy as np

BINS = 256
LOWEST = -8.0  # logits beyond are counted in the first and last bin
BINS_PER_UNIT = BINS / (-2 * LOWEST)


def areas(without: np.ndarray, with_label: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each label, NaN if all rows or none have it; equal bins count as ties.

    Args:
        without, with_label: rows without and with the label, float64 [labels, BINS].
    """
    below = np.cumsum(without, 1) - without
    pairs = with_label.sum(1) * without.sum(1)
    won = (with_label * (below + 0.5 * without)).sum(1)
    return np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def mean_of_known(values: np.ndarray) -> float:
    """The mean without NaN; NaN if there are no others."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
