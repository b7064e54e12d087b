"""Figures of the report about words: what becomes of each span, and the worst rows."""

from __future__ import annotations

import numpy as np
from seqeval.metrics import f1_score

from components.report.sections import drawn
from models.tasks.sections import Judged
from models.tasks.token_labels import figures

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def answers(*rows: str, width: int = 6) -> np.ndarray:
    """`"Ann/B-PER sat/O"` -> words and tags, object [rows, width, 2]."""
    made = np.full((len(rows), width, 2), b"", object)
    for row, text in zip(made, rows, strict=True):
        for i, pair in enumerate(text.split()):
            row[i] = [part.encode() for part in pair.split("/")]
    return made


def labels(*rows: str) -> np.ndarray:
    return figures.targets([[tag.encode() for tag in row.split()] for row in rows], TAGS)


LABELLED = labels(
    "B-PER I-PER O B-LOC",  # found with another border; found
    "B-PER O B-LOC O",  # found as LOC; missed
    "O O B-LOC I-LOC",  # as PER with another border
    "O O O B-PER",  # cut off
)
ANSWERED = answers(
    "Ann/B-PER Lee/O in/O Rome/B-LOC",
    "Bob/B-LOC left/O Oslo/O today/B-PER",
    "by/O Rio/B-PER Grande/I-PER Norte/O",
    "we/O saw/O",
)


def test_each_labelled_span_has_one_fate() -> None:
    found = figures.figures(LABELLED, ANSWERED, TAGS)
    assert found.types == ("PER", "LOC")
    assert found.first_tags == (1, 3)
    assert figures.FATES == ("correct", "other type", "other borders", "other type and borders", "missed")
    assert found.fates.tolist() == [[0, 1, 1, 0, 1], [1, 0, 0, 1, 1]]
    assert found.counts.tolist() == [[0, 3, 3], [1, 2, 3]]  # correct, answered, labelled
    assert found.invented.tolist() == [1, 0]
    assert (found.right, found.words, found.cut) == (8, 16, 2)
    assert figures.scalars(found) == {"labelled_spans": 6.0, "share_of_words_without_an_answer": 2 / 16}


def test_counts_give_the_figures_of_seqeval() -> None:
    rng = np.random.default_rng(0)
    one, other = ([[TAGS[i] for i in rng.integers(0, 5, 9)] for _ in range(50)] for _ in range(2))
    given = answers(*(" ".join(f"w/{tag}" for tag in row) for row in other), width=9)
    counts = figures.figures(labels(*map(" ".join, one)), given, TAGS).counts
    correct, answered, labelled = counts.sum(axis=0)
    assert 2 * correct / (answered + labelled) == f1_score(one, other)


def test_mistakes_show_words_and_those_with_the_most_wrong_words_are_first() -> None:
    texts = [["first"], ["second"], ["third"], ["fourth"]]
    names = ["B-PER I-PER O B-LOC", "B-PER O B-LOC O", "O O B-LOC I-LOC", "O O O B-PER"]
    found = sorted(figures.mistakes(texts, names, LABELLED, ANSWERED, TAGS), key=figures.gravity)
    assert [(m.texts, m.wrong_words) for m in found] == [
        (("second",), 3),
        (("third",), 3),
        (("first",), 1),
        (("fourth",), 1),
    ]
    assert figures.describe_mistake(found[2]) == [
        ("labelled", "B-PER I-PER O B-LOC", "1 wrong word"),
        ("missed", "Ann Lee", "PER"),
        ("added", "Ann", "PER"),
    ]
    assert figures.describe_mistake(found[3])[1:] == [("missed", "word 4", "PER")]


def test_sections_tell_that_texts_were_cut() -> None:
    found = figures.figures(LABELLED, ANSWERED, TAGS)
    judged = Judged(4, 4, per_class={"f1": {1: 0.0, 3: 0.4}})
    by_type, fates = figures.answer_sections(found, judged)
    assert "2 of 16 words have no answer, because texts are cut." in by_type.note
    page = str(drawn(by_type))
    assert "0.400" in page
    assert "PER" in page
    assert "missed" in str(drawn(fates))


def test_words_with_a_tag_outside_the_list_do_not_count() -> None:
    found = figures.figures(labels("B-HAM O"), answers("Ann/B-PER sat/O"), TAGS)
    assert (found.counts.tolist(), found.words, found.cut) == ([[0, 0, 0], [0, 0, 0]], 1, 0)
    assert figures.figures(labels("B-HAM B-HAM"), answers(""), TAGS).cut == 0


def test_a_mistake_says_how_many_spans_it_does_not_show() -> None:
    row = " ".join(["B-PER"] * 6)
    [found] = figures.mistakes([["x"]], [row], labels(row), answers(" ".join(["w/O"] * 6)), TAGS)
    assert figures.describe_mistake(found)[-2:] == [("missed", "w", "PER"), ("missed", "1 more", "")]


def test_types_that_do_not_occur_are_last() -> None:
    found = figures.figures(labels("B-LOC"), answers("Rome/O"), TAGS)
    section, _ = figures.answer_sections(found, Judged(1, 1))
    assert [row[0].text for row in section.parts[0].rows] == ["LOC", "PER"]
