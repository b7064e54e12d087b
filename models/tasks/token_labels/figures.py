"""Figures from answers about words: spans by type, how they are missed, and the worst rows. Imports only NumPy.

`predicted` are words and tags of each row, object [rows, width, 2], filled up with b"". Words that the answer has no tag for, because
the text was cut, count as tagged O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.tasks.objective import Constants
from models.tasks.sections import Cell, Judged, Name, Section, Share, Table, shortened
from models.tasks.token_labels.facts import as_label
from models.tasks.token_labels.spans import NO_TAG, find_spans, span_figures, token_counts
from models.tasks.token_labels.tags import OUTSIDE, TagTable, tag_table

MISTAKES_NOTE = (
    "Rows in which words have another tag than the model answers, those with the most such words first. Missed are labelled spans "
    "that the model does not answer, added those that it answers and that are not labelled. Texts of the data are shown; "
    "report.mistakes sets how many."
)
_TYPES_SHOWN = 100  # the weakest
_SPANS_SHOWN = 5  # of a mistake, on each side

# What becomes of a labelled span: columns of `Figures.fates`.
FATES = ("correct", "other type", "other borders", "other type and borders", "missed")


@dataclass(frozen=True)
class Span:
    """Words from `start` to before `end`, numbered in their row."""

    start: int
    end: int
    type: int

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Figures:
    """Counts of spans. `counts` int64 [types, 3]: correct, answered, labelled; `fates` int64 [types, FATES] of the labelled ones;
    `invented` int64 [types]: answered spans that overlap no labelled one. `first_tags`: the tag id of each type's first tag, by which
    the Evaluator has its values. `right`, `words` and `cut` count words; cut ones have no answer.
    """

    types: tuple[str, ...]
    first_tags: tuple[int, ...]
    counts: npt.NDArray[np.int64]
    fates: npt.NDArray[np.int64]
    invented: npt.NDArray[np.int64]
    right: int
    words: int
    cut: int


@dataclass(frozen=True)
class Mistake:
    """A row that the model gets wrong; `missed` and `added` are `("PER", "Ann Lee")`."""

    texts: tuple[str, ...]
    label: str
    missed: tuple[tuple[str, str], ...]
    added: tuple[tuple[str, str], ...]
    wrong_words: int


def targets(rows: Sequence[Sequence[Any]], classes: Sequence[str]) -> np.ndarray:
    """`[[b"B-PER", b"O"], []], ["O", "B-PER"] -> [(1, 0), ()]`, the tag ids of each row, object [rows]; NO_TAG for unknown ones."""
    place = {label: i for i, label in enumerate(classes)}
    made = np.empty(len(rows), object)
    made[:] = [tuple(place.get(str(as_label(tag)), NO_TAG) for tag in row) for row in rows]
    return made


def _answered(ids: Sequence[int], tags: np.ndarray, classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """The answered tag of each labelled word, int64 [words]; O for words without an answer, NO_TAG for those of an unknown label."""
    place = {label.encode(): i for i, label in enumerate(classes)}
    outside = place[OUTSIDE.encode()]
    known = [place.get(tag, outside) for tag in tags[: len(ids)]]
    answered = np.array(known + [outside] * (len(ids) - len(known)), np.int64)
    return np.where(np.array(ids, np.int64) == NO_TAG, NO_TAG, answered)


def _spans(ids: Iterable[int], table: TagTable) -> list[Span]:
    found = find_spans(np.array([tuple(ids)], np.int64), table)
    return [Span(*map(int, span)) for span in zip(found.starts, found.ends, found.types, strict=True)]


def figures(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str], constants: Constants | None = None
) -> Figures:
    """Counts the spans of rows.

    Args:
        labels: tag ids of each row, object [rows].
        predicted: words and tags.
        classes: the label list.
        constants: the answer has none.
    """
    del constants
    table = tag_table(classes)
    types = len(table.types)
    counts, fates = np.zeros((types, 3), np.int64), np.zeros((types, len(FATES)), np.int64)
    invented, words = np.zeros(types, np.int64), np.zeros(3, np.int64)
    for ids, row in zip(labels, predicted, strict=True):
        answered = _answered(ids, row[:, 1], classes)
        cut = sum(tag != NO_TAG for tag in ids[_width(row) :])
        words += (*token_counts(np.array(ids, np.int64), answered), cut)
        right, found = _spans(ids, table), _spans(answered, table)
        for span in right:
            fate = _fate(span, found)
            counts[span.type] += (fate == 0, 0, 1)
            fates[span.type, fate] += 1
        for span in found:
            counts[span.type, 1] += 1
            invented[span.type] += not any(map(span.overlaps, right))
    first = tuple(table.type_ids.index(number) for number in range(types))
    return Figures(table.types, first, counts, fates, invented, *map(int, words))


def _width(row: np.ndarray) -> int:
    """Words with an answer."""
    return int((row[:, 1] != b"").sum())


def _fate(span: Span, found: Sequence[Span]) -> int:
    """The place in FATES."""
    if span in found:
        return 0
    near = [other for other in found if span.overlaps(other)]
    if any((other.start, other.end) == (span.start, span.end) for other in near):
        return 1
    if not near:
        return 4
    return 2 if any(other.type == span.type for other in near) else 3


def mistakes(
    texts: Sequence[Sequence[str]],
    labels: Sequence[str],
    ids: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    constants: Constants | None = None,
) -> Iterator[Mistake]:
    """The rows with a word whose tag differs from the answered one.

    Args:
        texts: the texts of each row, as they are shown.
        labels: the tags as text.
        ids: tag ids of each row, object [rows].
        predicted: words and tags.
        classes: the label list.
        constants: the answer has none.
    """
    del constants
    table = tag_table(classes)
    for text, label, row_ids, row in zip(texts, labels, ids, predicted, strict=True):
        answered = _answered(row_ids, row[:, 1], classes)
        wrong = int((np.array(row_ids, np.int64) != answered).sum())
        if wrong:
            right, found = _spans(row_ids, table), _spans(answered, table)
            missed, added = (
                tuple(_shown(span, row[:, 0], table) for span in one if span not in other)
                for one, other in ((right, found), (found, right))
            )
            yield Mistake(tuple(text), label, missed, added, wrong)


def _shown(span: Span, words: np.ndarray, table: TagTable) -> tuple[str, str]:
    """`("PER", "Ann Lee")`; words of a text that was cut are shown by their number."""
    texts = [
        words[i].decode(errors="replace") if i < len(words) and words[i] else f"word {i + 1}"
        for i in range(span.start, span.end)
    ]
    return table.types[span.type], " ".join(texts)


def gravity(mistake: Mistake) -> float:
    """Sort key of mistakes, the worst first."""
    return -float(mistake.wrong_words)


def describe_mistake(mistake: Mistake) -> Sequence[tuple[str, str, str]]:
    """`[("labelled", "B-PER I-PER O", "2 wrong words"), ("missed", "Ann Lee", "PER"), ("added", "Rome", "LOC")]`."""
    words = f"{mistake.wrong_words} wrong word{'s' * (mistake.wrong_words != 1)}"
    return [
        ("labelled", mistake.label, words),
        *_described("missed", mistake.missed),
        *_described("added", mistake.added),
    ]


def _described(side: str, spans: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    yield from ((side, text, kind) for kind, text in spans[:_SPANS_SHOWN])
    if len(spans) > _SPANS_SHOWN:
        yield side, f"{len(spans) - _SPANS_SHOWN} more", ""


def scalars(figures: Figures) -> dict[str, float | None]:
    """Single figures; None for one that cannot be computed."""
    whole = span_figures(figures.counts.sum(axis=0))
    return {
        "labelled_spans": float(whole.spans),
        "share_of_words_without_an_answer": figures.cut / figures.words if figures.words else None,
    }


def dashboard(figures: Figures) -> dict[str, Any]:
    """Kubeflow draws the confusion of classes that exclude one another only."""
    del figures
    return {}


def answer_sections(figures: Figures, judged: Judged) -> Iterator[Section]:
    """Each type with its spans and the Evaluator's metrics, and what becomes of its spans."""
    if not figures.words:
        return
    # A type without a labelled and an answered span is not weak.
    found = [span_figures(row).f1 if row[1:].any() else 1.0 for row in figures.counts]
    weakest = np.argsort(found, kind="stable")[:_TYPES_SHOWN]
    cut = (
        f"{figures.cut:,} of {figures.words:,} words have no answer, because texts are cut. "
        if figures.cut
        else ""
    )
    note = (
        f"The weakest first{shortened(len(found), _TYPES_SHOWN)}. A span is correct if its words and its type are. {cut}"
        f"{judged.rows_note()}"
    )
    measures = list(judged.per_class)
    columns = ["type", "labelled", "answered", "correct", *measures, ""]
    rows: list[list[Cell]] = [_type_row(figures, judged, int(i), found[i]) for i in weakest]
    yield Section("By type", note, [Table(columns, rows)])
    fates: list[list[Cell]] = [
        [Name(figures.types[i]), *map(int, figures.fates[i]), int(figures.invented[i])] for i in weakest
    ]
    yield Section(
        "What becomes of labelled spans",
        "Other borders: an answered span of the type overlaps it. Missed: no answered span does. Invented are answered spans that "
        "overlap no labelled one.",
        [Table(["type", *FATES, "invented"], fates)],
    )


def _type_row(figures: Figures, judged: Judged, i: int, f1: float) -> list[Cell]:
    correct, answered, labelled = map(int, figures.counts[i])
    tag = figures.first_tags[i]
    measured = (f"{values[tag]:.3f}" if tag in values else "" for values in judged.per_class.values())
    return [Name(figures.types[i]), labelled, answered, correct, *measured, Share(f1)]


def confidence_sections(figures: Figures, judged: Judged) -> Iterator[Section]:
    """None."""
    del figures, judged
    yield from ()
