"""Spans of tagged words, and how well predicted spans fit. Imports NumPy only.

Spans are those of seqeval without a scheme, which reads a span wherever CoNLL's evaluation script does: a span of a type begins
at B, at S, and at I or E that do not continue one; it ends before the next span, and before O. A test compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.tasks.token_labels.tags import TagTable

NO_TAG = -1  # of a place in a row that has no word
OUTSIDE, BEGIN, INSIDE, END, SINGLE = range(5)  # places in "OBIES", as `TagTable.prefixes` has them

Ids = npt.NDArray[np.integer]


class Spans(NamedTuple):
    """Spans in the order of rows and places: int64 [spans] each. `ends` are past the last word."""

    rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]


def find_spans(tags: Ids, table: TagTable) -> Spans:
    """The spans of rows of tags.

    Args:
        tags: [rows, words], ids of tags; NO_TAG where a row has no word.
        table: of the label list.
    """
    tags = np.asarray(tags)
    # The last entries, which NO_TAG finds, are O's.
    prefix = np.array([*table.prefixes, OUTSIDE])[tags]
    kind = np.array([*table.type_ids, len(table.types)])[tags]
    before, kind_before = _shifted(prefix, OUTSIDE), _shifted(kind, len(table.types))
    begins = (prefix != OUTSIDE) & (
        np.isin(prefix, (BEGIN, SINGLE)) | np.isin(before, (OUTSIDE, END, SINGLE)) | (kind != kind_before)
    )
    # A span ends where the next word is O or begins another one.
    continues = (prefix != OUTSIDE) & ~begins
    last = (prefix != OUTSIDE) & ~_shifted(continues[:, ::-1], False)[:, ::-1]
    rows, starts = np.nonzero(begins)
    return Spans(rows, starts, np.nonzero(last)[1] + 1, kind[begins].astype(np.int64))


def _shifted(values: npt.NDArray[Any], first: object) -> npt.NDArray[Any]:
    """Each word's value of the word before it: `[[1, 2, 3]], 0` -> `[[0, 1, 2]]`."""
    return np.concatenate([np.full_like(values[:, :1], first), values[:, :-1]], axis=1)


def span_counts(labelled: Spans, predicted: Spans, types: int) -> npt.NDArray[np.int64]:
    """Correct, predicted and labelled spans of each type: int64 [types, 3]. A span is correct if its words and type are."""
    both = {*zip(*map(np.ndarray.tolist, labelled), strict=True)} & {
        *zip(*map(np.ndarray.tolist, predicted), strict=True)
    }
    correct = np.bincount(np.array([span[3] for span in both], np.int64), minlength=types)
    others = (np.bincount(spans.types, minlength=types) for spans in (predicted, labelled))
    return np.stack([correct, *others], axis=1).astype(np.int64)


class SpanFigures(NamedTuple):
    """Without predicted spans the precision is 0, without labelled ones the recall."""

    precision: float
    recall: float
    f1: float
    spans: int  # labelled


def span_figures(counts: Sequence[float] | npt.NDArray[np.number]) -> SpanFigures:
    """`[2, 4, 3]` -> precision 2/4, recall 2/3, F1 4/7: correct, predicted and labelled spans, of a type or of all."""
    correct, predicted, labelled = (float(count) for count in counts)
    return SpanFigures(
        correct / predicted if predicted else 0.0,
        correct / labelled if labelled else 0.0,
        2 * correct / (predicted + labelled) if predicted + labelled else 0.0,
        int(labelled),
    )


def token_counts(labelled: Ids, predicted: Ids) -> tuple[int, int]:
    """How many words have the right tag, and how many have one: places with NO_TAG in `labelled` do not count."""
    has_tag = np.asarray(labelled) != NO_TAG
    return int((np.asarray(labelled) == np.asarray(predicted))[has_tag].sum()), int(has_tag.sum())
