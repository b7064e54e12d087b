"""Figures of a split from counts of its logits in bins, and the decision threshold of each label. Imports only NumPy.

The counts are those of `models.tasks.logit_bins`; average precision takes the logits of a bin as equal.
"""

from __future__ import annotations

import numpy as np

from models.tasks.logit_bins import BINS, BINS_PER_UNIT, LOWEST


def edge(index: np.ndarray) -> np.ndarray:
    """The lowest logit of a bin: `128 -> 0.0`."""
    return index / BINS_PER_UNIT + LOWEST


def best_edges(without: np.ndarray, with_label: np.ndarray) -> np.ndarray:
    """The bin from which on each label applies, int64 [labels]: the highest F1, of equals the nearest to 0.5.

    Bins from which on a label is answered more than twice as often as it occurs do not count: of a label that the model
    does not find, the highest F1 would be that of answering it nearly always.

    Args:
        without, with_label: rows without and with the label, float64 [labels, BINS].
    """
    hits, predicted = _from_each_bin_on(with_label), _from_each_bin_on(without + with_label)
    total = with_label.sum(1, keepdims=True)
    f1 = _ratio(2 * hits, predicted + total)
    f1[(predicted > 2 * total) & (total > 0)] = -1.0
    # The first bin also has all lower logits, which no finite threshold in it would include.
    f1[:, 0] = -1.0
    distance = np.abs(np.arange(BINS) - BINS // 2)
    return np.asarray((f1 - 1e-9 * distance).argmax(1))


def decided(without: np.ndarray, with_label: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rows labelled, predicted and both, each float64 [labels], if each label applies from its bin on."""
    chosen = np.arange(BINS)[None, :] >= edges[:, None]
    correct = (with_label * chosen).sum(1)
    return with_label.sum(1), correct + (without * chosen).sum(1), correct


def average_precisions(without: np.ndarray, with_label: np.ndarray) -> np.ndarray:
    """Average precision of each label, NaN if no row has it."""
    hits, predicted = _from_each_bin_on(with_label), _from_each_bin_on(without + with_label)
    total = with_label.sum(1)
    summed = (_ratio(hits, predicted) * with_label).sum(1)
    return np.divide(summed, total, out=np.full(len(total), np.nan), where=total > 0)


def _from_each_bin_on(counts: np.ndarray) -> np.ndarray:
    return np.cumsum(counts[:, ::-1], 1)[:, ::-1]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
