"""report.json and its sentences."""

from __future__ import annotations

import dataclasses
import json

import pytest

from components.tokenization_gate.report import (
    REPORT_FILE,
    Mismatch,
    ParityReport,
    ShownToken,
    read_parity_report,
    report_text,
    shorten,
)

THE, OF = ShownToken(5, 0, "the"), ShownToken(6, 0, "of")
REPORT = ParityReport(
    tokenizer="WordPiece",
    max_length=64,
    max_mismatch_rate=0.0015,
    rows={"train": 5000, "eval": 800},
    compared={"train": 1200, "eval": 800},
    mismatches={"train": 2, "eval": 1},
    longer={"train": 0, "eval": 5},
    examples=(
        Mismatch("train", 17, ("the cat",), 1, THE, OF),
        Mismatch("train", 18, ("a", "b"), 4, None, THE),
        Mismatch("eval", 0, ("",), 2, THE, dataclasses.replace(THE, type=1)),
    ),
)


def test_it_is_read_back_as_it_was_written(tmp_path):
    (tmp_path / REPORT_FILE).write_text(report_text(REPORT), encoding="utf-8")
    assert read_parity_report(tmp_path) == REPORT


def test_the_share_of_longer_rows_is_of_all_compared_ones():
    assert REPORT.share_of_longer == 5 / 2000


def test_every_example_has_its_sentence():
    assert [example["message"] for example in json.loads(report_text(REPORT))["examples"]] == [
        "split 'train', row 17, 'the cat': token 1 is 'the' (5) in the graph, 'of' (6) by transformers",
        "split 'train', row 18, 'a' and 'b': token 4 is missing in the graph, 'the' (5) by transformers",
        "split 'eval', row 0, '': token 2 is 'the' (5, type 0) in the graph, 'the' (5, type 1) by transformers",
    ]


@pytest.mark.parametrize(("rate", "refused"), [(0.0, True), (0.0014, True), (0.0015, False), (1.0, False)])
def test_more_rows_than_the_rate_allows_are_refused(rate, refused):
    assert dataclasses.replace(REPORT, max_mismatch_rate=rate).refused is refused


def test_it_says_how_many_of_how_many_and_the_limit():
    assert str(REPORT) == (
        "3 of 2,000 rows (0.150%) are tokenized differently in the graph and by transformers, "
        "parity.max_mismatch_rate is 0.0015"
    )
    nothing = dataclasses.replace(REPORT, compared={"train": 0}, mismatches={"train": 0}, examples=())
    assert (str(nothing), nothing.refused) == ("no row was compared: parity.rows is 0", False)


def test_long_texts_are_cut_and_bytes_that_are_not_utf8_are_replaced():
    assert shorten(b"a" * 1000) == "a" * 60 + "…"
    assert shorten(b"\xff ok") == "\ufffd ok"
