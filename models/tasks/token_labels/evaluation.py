"""The Evaluator's metrics of served answers, equal to seqeval's. Imports only NumPy.

Words that the answer has no tag for, because the text was cut, count as tagged O. Spans are of a text, so texts can be
counted in any order, and counts can be added.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from models.features import CLASSES, TAGS
from models.tasks.token_labels.spans import (
    NO_TAG,
    find_spans,
    span_counts,
    span_figures,
    token_counts,
)
from models.tasks.token_labels.tags import TagTable, tag_table

NEEDS_ROWS: frozenset[str] = frozenset()
_SINGLE_SUMS = 2  # right words, words

Classes: TypeAlias = tuple[bytes, ...]
Row: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.object_]]


def row(label: Any, outputs: Mapping[str, Any]) -> Row:
    """`([b"B-PER", b"O"], {"tags": [b"B-PER", b"", b""], ...})` -> `([1, 0], [1, 0], classes)`.

    Args:
        label: the tags of all words of the text, bytes; None or empty if there are none.
        outputs: served outputs of the row, "tags" filled up with b"".

    Returns:
        Ids of the labelled and of the predicted tags, int64 [words], and the label list. A tag that is not in the list is
        NO_TAG, which does not count.
    """
    classes = np.asarray(outputs[CLASSES]).reshape(-1)
    ids = _ids(tuple(classes.tolist()))
    labelled = [] if label is None else np.asarray(label).reshape(-1).tolist()
    predicted = np.asarray(outputs[TAGS]).reshape(-1).tolist()[: len(labelled)]
    outside = ids[b"O"]
    known = [ids.get(tag, outside) for tag in predicted] + [outside] * (len(labelled) - len(predicted))
    return np.array([ids.get(tag, NO_TAG) for tag in labelled], np.int64), np.array(known, np.int64), classes


@functools.lru_cache(maxsize=2)
def _ids(classes: Classes) -> Mapping[bytes, int]:
    return {name: i for i, name in enumerate(classes)}


@functools.lru_cache(maxsize=2)
def _table(classes: Classes) -> TagTable:
    return tag_table([name.decode() for name in classes])


def sums(row: Row) -> npt.NDArray[np.float64]:
    """float64 [2 + 3 * tags]: right words, words; correct, predicted, labelled spans of each type, at its first tag."""
    labelled, predicted, classes = row
    table = _table(tuple(classes.tolist()))
    known = np.where(labelled == NO_TAG, NO_TAG, predicted)
    found = (find_spans(tags[np.newaxis], table) for tags in (labelled, known))
    by_type = span_counts(next(found), next(found), len(table.types))
    by_tag = np.zeros((len(table.prefixes), 3))
    by_tag[[table.type_ids.index(number) for number in range(len(table.types))]] = by_type
    return np.concatenate([token_counts(labelled, predicted), by_tag.reshape(-1)]).astype(np.float64)


def from_sums(metric: str, sums: npt.NDArray[np.float64]) -> dict[int | None, float]:
    """A metric, under None; of spans also its values by the id of each type's first tag, for types that occur.

    Args:
        metric: span_f1, span_precision, span_recall or token_accuracy.
        sums: of `sums`, added over rows.
    """
    if metric == "token_accuracy":
        right, words = (float(value) for value in sums[:_SINGLE_SUMS])
        return {None: right / words if words else float("nan")}
    by_tag = sums[_SINGLE_SUMS:].reshape(-1, 3)
    counted = {None: by_tag.sum(axis=0)} | {int(i): by_tag[i] for i in np.flatnonzero(by_tag.any(axis=1))}
    name = metric.removeprefix("span_")
    return {tag: float(getattr(span_figures(counts), name)) for tag, counts in counted.items()}
