"""Spans and their figures: those of seqeval."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.metrics.sequence_labeling import get_entities

from models.tasks.token_labels.spans import (
    NO_TAG,
    SpanFigures,
    find_spans,
    span_counts,
    span_figures,
    token_counts,
)
from models.tasks.token_labels.tags import tag_table

BIO = ["O", "B-PER", "I-PER", "B-MISC", "I-MISC"]
ALL = ["O", *(f"{prefix}-{kind}" for kind in ("PER", "LOC", "A-B") for prefix in "BIES")]


def ids(rows: Sequence[Sequence[str]], labels: Sequence[str]) -> np.ndarray:
    width = max(map(len, rows), default=0)
    numbers = [[labels.index(tag) for tag in row] + [NO_TAG] * (width - len(row)) for row in rows]
    return np.array(numbers, np.int64).reshape(len(rows), width)


def spans(rows: Sequence[Sequence[str]], labels: Sequence[str] = ALL) -> list[tuple[int, str, int, int]]:
    table = tag_table(labels)
    found = find_spans(ids(rows, labels), table)
    return [(row, table.types[kind], start, end) for row, start, end, kind in zip(*found, strict=True)]


def figures(labelled: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], labels: Sequence[str]):
    table = tag_table(labels)
    one, other = (find_spans(ids(rows, labels), table) for rows in (labelled, predicted))
    counts = span_counts(one, other, len(table.types))
    return span_figures(counts.sum(axis=0)), dict(zip(table.types, map(span_figures, counts), strict=True))


def test_spans_have_their_words_and_types_in_every_scheme() -> None:
    assert spans([["B-PER", "I-PER", "O", "B-LOC"]]) == [(0, "PER", 0, 2), (0, "LOC", 3, 4)]
    assert spans([["I-PER", "I-PER", "B-PER", "I-LOC"]]) == [
        (0, "PER", 0, 2),
        (0, "PER", 2, 3),
        (0, "LOC", 3, 4),
    ]
    assert spans([["B-LOC", "I-LOC", "E-LOC", "S-LOC", "E-LOC"]]) == [
        (0, "LOC", 0, 3),
        (0, "LOC", 3, 4),
        (0, "LOC", 4, 5),
    ]


def test_spans_end_with_their_row() -> None:
    assert spans([["B-PER"], [], ["I-PER", "I-PER"]]) == [(0, "PER", 0, 1), (2, "PER", 0, 2)]
    assert spans([[], []]) == []
    assert spans([]) == []


def test_figures_of_the_example_of_seqevals_documentation() -> None:
    labelled = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    predicted = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    whole, by_type = figures(labelled, predicted, BIO)
    assert whole == SpanFigures(0.5, 0.5, 0.5, 2)
    assert by_type == {"PER": SpanFigures(1.0, 1.0, 1.0, 1), "MISC": SpanFigures(0.0, 0.0, 0.0, 1)}
    assert token_counts(ids(labelled, BIO), ids(predicted, BIO)) == (8, 10)


def test_figures_calculated_by_hand() -> None:
    labelled = [["B-PER", "I-PER", "B-MISC", "O", "B-PER"]]
    predicted = [["B-PER", "I-PER", "B-PER", "B-MISC", "B-PER"]]
    # PER: 2 of 3 predicted and of 2 labelled; MISC: 0 of 1 and of 1. Words: 3 of 5.
    whole, by_type = figures(labelled, predicted, BIO)
    assert whole == (2 / 4, 2 / 3, 4 / 7, 3)
    assert by_type == {"PER": (2 / 3, 1.0, 4 / 5, 2), "MISC": (0.0, 0.0, 0.0, 1)}
    assert token_counts(ids(labelled, BIO), ids(predicted, BIO)) == (3, 5)


def test_rows_without_spans_have_figures_of_zero() -> None:
    assert figures([["O"]], [["O"]], BIO)[0] == SpanFigures(0.0, 0.0, 0.0, 0)
    assert figures([["O"]], [["B-PER"]], BIO)[0] == SpanFigures(0.0, 0.0, 0.0, 0)
    assert figures([["B-PER"]], [["O"]], BIO)[0] == SpanFigures(0.0, 0.0, 0.0, 1)


ROWS = st.lists(st.lists(st.sampled_from(ALL), max_size=9), min_size=1, max_size=6)


def test_spans_of_all_short_rows_are_those_of_seqeval() -> None:
    some = [tag for tag in ALL if not tag.endswith("A-B")]
    rows = [list(row) for size in range(4) for row in itertools.product(some, repeat=size)]
    wanted = [
        (number, kind, start, end + 1)
        for number, row in enumerate(rows)
        for kind, start, end in (get_entities(row) if row else [])
    ]
    assert len(wanted) == 1944
    assert spans(rows) == wanted


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, data=st.data())
def test_figures_of_any_rows_are_those_of_seqeval(rows: list[list[str]], data: st.DataObject) -> None:
    tags = st.sampled_from(ALL)
    predicted = [data.draw(st.lists(tags, min_size=len(row), max_size=len(row))) for row in rows]
    # seqeval fails on empty rows, and on rows that have no span at all.
    full = [(row, other) for row, other in zip(rows, predicted, strict=True) if row]
    whole, by_type = figures(rows, predicted, ALL)
    if not any(tag != "O" for pair in full for row in pair for tag in row):
        assert whole == (0.0, 0.0, 0.0, 0)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where it divides by zero
        wanted = classification_report([row for row, _ in full], [row for _, row in full], output_dict=True)

    def of(name: str) -> list[float]:
        entry = wanted.get(name, {"precision": 0, "recall": 0, "f1-score": 0, "support": 0})
        return [entry["precision"], entry["recall"], entry["f1-score"], entry["support"]]

    assert list(whole) == pytest.approx(of("micro avg"))
    for kind, of_type in by_type.items():
        assert list(of_type) == pytest.approx(of(kind)), kind
