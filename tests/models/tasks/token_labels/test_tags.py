"""Tags of words, their schemes, and transitions that a scheme has not."""

from __future__ import annotations

import pytest

from models.tasks.token_labels.tags import (
    Scheme,
    Tag,
    TagTable,
    illegal_transitions,
    ordered_tags,
    read_tag,
    scheme_of,
    tag_table,
)


def test_tags_are_a_prefix_and_a_type() -> None:
    assert read_tag("O") == Tag("O", "")
    assert read_tag("I-ORG-public") == Tag("I", "ORG-public")


@pytest.mark.parametrize("text", ["", "o", "B", "B-", "PER", "X-PER", "PER-B", "b-PER", "-PER"])
def test_other_texts_are_no_tags(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is no tag: a tag is O, or B, I, E or S with a type, such as B-PER$"
    ):
        read_tag(text)


def test_bilou_is_refused_with_the_prefixes_to_write() -> None:
    with pytest.raises(ValueError, match=r"'U-LOC' is no tag.*; write BILOU's L and U as E and S"):
        read_tag("U-LOC")


@pytest.mark.parametrize(
    ("rows", "scheme"),
    [
        ([["B-PER", "I-PER", "O"], ["B-PER", "B-PER"]], "BIO"),
        ([["I-PER", "I-PER", "O"], ["I-LOC", "B-LOC", "I-LOC"]], "IOB1"),
        ([["O", "I-PER"], ["B-PER"]], "BIO"),  # with one illegal transition
        ([["B-PER", "E-PER", "S-LOC"]], "BIOES"),
        ([["O"], []], "BIO"),
    ],
)
def test_scheme_is_that_of_the_rows(rows: list[list[str]], scheme: Scheme) -> None:
    assert scheme_of({tag for row in rows for tag in row}, rows) == scheme


@pytest.mark.parametrize(
    ("row", "scheme", "found"),
    [
        (["B-PER", "I-PER", "O", "B-PER", "B-PER"], "BIO", []),
        (["O", "I-PER", "I-LOC"], "BIO", [(1, "O", "I-PER"), (2, "I-PER", "I-LOC")]),
        (["I-PER", "I-PER", "B-PER", "O", "I-LOC"], "IOB1", []),
        (["B-PER", "I-PER", "B-LOC"], "IOB1", [(0, "O", "B-PER"), (2, "I-PER", "B-LOC")]),
        (["B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "E-LOC"], "BIOES", []),
        (
            ["B-PER", "O", "S-PER", "I-PER"],
            "BIOES",
            [(1, "B-PER", "O"), (3, "S-PER", "I-PER"), (4, "I-PER", "O")],
        ),
        (["B-PER", "E-LOC"], "BIOES", [(1, "B-PER", "E-LOC")]),
    ],
)
def test_transitions_that_the_scheme_has_not_are_found(
    row: list[str], scheme: Scheme, found: list[tuple[int, str, str]]
) -> None:
    assert illegal_transitions(row, scheme) == found


def test_label_list_begins_with_o_and_keeps_types_together() -> None:
    labels = ordered_tags({"I-PER", "B-PER", "B-LOC", "O"})
    assert labels == ["O", "B-LOC", "B-PER", "I-PER"]
    assert ordered_tags({"S-PER"}) == ["O", "S-PER"]
    assert tag_table(labels) == TagTable((0, 1, 1, 2), (2, 0, 1, 1), ("LOC", "PER"))
