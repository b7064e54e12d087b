"""The table of docs/tokenization.md is that of `python -m tests.models.tokenizers.proof`."""

from __future__ import annotations

import pytest

from tests.models.tokenizers.proof import PAGE, UNEXPLAINED, has_reordered_marks, parts, rows_of
from tests.support.tokenizer_kinds import KINDS, PUBLISHED


def test_table_has_every_kind_of_the_contract_suite_and_every_published_vocabulary() -> None:
    _, table, _ = parts(PAGE.read_text())
    kinds = [kind for groups in (KINDS, PUBLISHED) for family in groups.values() for kind in family]
    assert [*rows_of(table)] == kinds


def test_every_difference_in_the_table_is_explained() -> None:
    _, table, _ = parts(PAGE.read_text())
    assert UNEXPLAINED not in table


@pytest.mark.parametrize(
    ("text", "is_reordered"),
    [
        ("e\ua9c0\u302e", False),  # 9 before 224: sorted
        ("e\u302e\ua9c0", True),
        ("e\u0301\u0323", False),  # accents, which are stripped
        ("e\u302e\u0301\ua9c0", True),
        ("e\u302ea\ua9c0", False),
    ],
)
def test_texts_whose_marks_nfd_reorders_are_recognized(text: str, is_reordered: bool) -> None:
    assert has_reordered_marks(text) is is_reordered
