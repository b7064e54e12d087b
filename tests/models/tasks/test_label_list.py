"""The label list is read strictly, because an error in it would shift every label id."""

from __future__ import annotations

import pytest

from models.errors import UsageError
from models.tasks.label_list import read_labels
from models.tasks.task import TASKS


def test_line_number_is_the_label_id(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("ABBR\nDESC\nliving thing\n", encoding="utf-8")
    assert read_labels(path) == ["ABBR", "DESC", "living thing"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n\nb\n", ":2: an empty line"),
        (b"a\nb\na\n", ":3: the label 'a' is already on line 1"),
        (b"a\r\nb\r\n", ":1: ends in a carriage return"),
        (b"a\n\xff\n", "cannot be read"),
    ],
)
def test_broken_label_list_is_a_usage_error(tmp_path, content, message):
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"labels\.txt") as caught:
        read_labels(path)
    assert message in str(caught.value)


def test_missing_label_list_names_the_config_key(tmp_path):
    with pytest.raises(UsageError, match=r"set data\.label_list"):
        read_labels(tmp_path / "none.txt")


def test_a_classifier_needs_two_labels(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes(b"a\n")
    with pytest.raises(UsageError, match=r"labels\.txt: 1 label\(s\); a classifier needs at least two"):
        TASKS["single_label"].read_labels(path)
