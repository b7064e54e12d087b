from __future__ import annotations

import pytest

from models.look_alikes import listed, look_alikes


@pytest.mark.parametrize(
    "labels",
    [
        ["Spam", "spam ", "SPAM"],
        ["Straße", "STRASSE"],
        ["a  b", "a b", "a\u00a0b", "a\tb"],
        ["café", "cafe\u0301"],
        ["Å", "\u212b"],
        ["ﬁn", "fin"],
        ["ｓｐａｍ", "spam"],
        ["spam", "sp\u200bam", "\ufeffspam", "spam\u00ad", "spam\u2060", "spam\u0000"],
        ["❤", "❤\ufe0f"],
        ["spam", "ѕраm"],  # the first three letters are Cyrillic
        ["HET", "НЕТ", "нет"],  # Latin, Cyrillic, Cyrillic
        ["Αlpha", "Alpha"],  # a Greek capital
        ["ικοn", "ikon"],
        ["n-a", "n–a", "n−a"],
        ["it's", "it’s"],
        ["1", "1.0", "01", "1e0", "+1", "1.", "１", "١"],
        ["0", "-0", "0.0", ".0", "0e7"],
        ["-1.5", "-15e-1", "-1.50"],
        ["1234567890123456789012345678901234567890", "01234567890123456789012345678901234567890"],
        ["True", "true", "TRUE"],
    ],
)
def test_labels_that_look_the_same_are_one_group(labels: list[str]) -> None:
    assert look_alikes(["one", *labels, "two"]) == [labels]


@pytest.mark.parametrize(
    "labels",
    [
        ["spam", "ham"],
        ["café", "cafe"],
        ["a-b", "a_b", "a b", "ab"],
        ["1", "10", "100", "-1", "1.1"],
        ["1_0", "10"],  # int() accepts underscores
        ["e", "1e", "e1", "1e1x"],
        ["1234567890123456789012345678901234567890", "1234567890123456789012345678901234567891"],
        ["1.0.0", "1.0"],
        ["A+", "A", "A-"],
        ["нет", "да"],
        ["😀", "😁"],
    ],
)
def test_labels_that_differ_to_the_eye_are_no_group(labels: list[str]) -> None:
    assert look_alikes(labels) == []


def test_groups_keep_the_order_of_their_first_labels() -> None:
    assert look_alikes(["b", "1", "A", "a", "B", "1.0"]) == [["b", "B"], ["1", "1.0"], ["A", "a"]]


def test_label_that_looks_like_two_groups_joins_them() -> None:
    # Latin HET and Cyrillic "нет" have only the Cyrillic capitals in common.
    assert look_alikes(["HET", "het", "нет", "НЕТ"]) == [["HET", "het", "нет", "НЕТ"]]


def test_labels_are_told_so_that_a_reader_can_tell_them_apart() -> None:
    assert (
        listed(["café", "cafe\u0301", "a\u200bb"])
        == "'café' (caf\\xe9), 'cafe\u0301' (cafe\\u0301) and 'a\\u200bb'"
    )
    assert listed(["a", "b", "c", "d", "e", "f", "g"]) == "'a', 'b', 'c', 'd', 'e' and 2 more"
