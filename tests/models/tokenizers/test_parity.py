"""The two tokenizations of a row, and where they part."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.tokenizers import hugging_face
from models.tokenizers.family import FAMILIES
from models.tokenizers.parity import (
    Difference,
    Row,
    Token,
    first_difference,
    graph_tokenizer,
    transformers_tokenizer,
)
from tests.support.faulty_graph import FAULTY_FAMILY
from tests.support.tokenizers import MakeTokenizer
from tests.support.word_family import WORDS_FAMILY
from tests.support.word_family.files import write_word_tokenizer


@pytest.fixture(scope="module")
def folder(make_tokenizer: MakeTokenizer) -> Path:
    return make_tokenizer(["who", "are", "you", "7", "8"])


ROWS = [[b"who are you", b"", b"wh\xffo"]]


def test_both_cut_and_replace_bytes_that_are_not_utf8_alike(folder: Path) -> None:
    wanted = [Row([2, 5, 6, 3], [0] * 4), Row([2, 3], [0] * 2), Row([2, 5, 3], [0] * 3)]
    assert graph_tokenizer(folder, 1, 4)(ROWS) == wanted
    assert transformers_tokenizer(folder, 4)(ROWS) == wanted
    assert transformers_tokenizer(folder, None)(ROWS)[0] == Row([2, 5, 6, 7, 3], [0] * 5)


def test_pairs_have_the_types_of_their_texts(folder: Path) -> None:
    rows = [[b"who are", b""], [b"you", b"who"]]
    wanted = [Row([2, 5, 3, 7, 3], [0, 0, 0, 1, 1]), Row([2, 3, 5, 3], [0, 0, 1, 1])]
    assert graph_tokenizer(folder, 2, 5)(rows) == wanted
    assert transformers_tokenizer(folder, 5)(rows) == wanted


def test_words_are_tokenized_alone_and_each_token_has_the_number_of_its_word(folder: Path) -> None:
    rows = [[b"who,78 you", b"", b"who 7 8 are you"]]
    wanted = [
        # A comma is no token of the vocabulary, so it is the unknown token 1; 78 is a word of its own.
        Row([2, 5, 1, 1, 7, 3], [0] * 6, [-1, 0, 1, 2, 3, -1]),
        Row([2, 3], [0] * 2, [-1, -1]),
        Row([2, 5, 8, 9, 6, 3], [0] * 6, [-1, 0, 1, 2, 3, -1]),
    ]
    assert graph_tokenizer(folder, 1, 6, words="whitespace_punctuation")(rows) == wanted
    assert transformers_tokenizer(folder, 6, words="whitespace_punctuation")(rows) == wanted


def test_a_token_of_another_word_differs() -> None:
    one, other = Row([2, 5, 3], [0] * 3, [-1, 0, -1]), Row([2, 5, 3], [0] * 3, [-1, 1, -1])
    assert first_difference(one, other) == Difference(1, Token(5, 0, 0), Token(5, 0, 1))


def test_transformers_tokenizer_is_loaded_once_while_it_is_used(
    monkeypatch: pytest.MonkeyPatch, make_tokenizer: MakeTokenizer
) -> None:
    folder, loads = make_tokenizer(["who"]), []
    load = hugging_face.hugging_face_tokenizer
    monkeypatch.setattr(hugging_face, "hugging_face_tokenizer", lambda path: loads.append(path) or load(path))
    uncut = transformers_tokenizer(folder, None)
    rows = [[b"who who who"]]
    assert graph_tokenizer(folder, 1, 4)(rows) == transformers_tokenizer(folder, 4)(rows)
    assert uncut(rows) == [Row([2, 5, 5, 5, 3], [0] * 5)]
    assert loads == [folder]


def test_types_of_a_tokenizer_without_them_count_as_0(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(FAMILIES, "words", WORDS_FAMILY)
    folder = write_word_tokenizer(tmp_path, ["who", "are"])
    rows = [[b"who"], [b"are they"]]
    wanted = [Row([0, 4, 2, 2, 5, 3, 2], [0] * 7)]
    assert graph_tokenizer(folder, 2, 9)(rows) == wanted
    assert transformers_tokenizer(folder, 9)(rows) == wanted


def test_faulty_graph_differs_where_its_fault_is(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(FAMILIES, "wordpiece", FAULTY_FAMILY)
    [graph] = graph_tokenizer(folder, 1, 8)([[b"who 7"]])
    [transformers] = transformers_tokenizer(folder, 8)([[b"who 7"]])
    assert first_difference(graph, transformers) == Difference(2, Token(9, 0), Token(8, 0))


@pytest.mark.parametrize(
    ("graph", "transformers", "difference"),
    [
        (Row([1, 5, 2], [0, 0, 0]), Row([1, 5, 2], [0, 0, 0]), None),
        (Row([], []), Row([], []), None),
        (Row([1, 5, 2], [0, 0, 0]), Row([1, 2], [0, 0]), Difference(1, Token(5, 0), Token(2, 0))),
        (Row([1, 5], [0, 0]), Row([1, 5, 2], [0, 0, 0]), Difference(2, None, Token(2, 0))),
        (Row([1, 5], [0, 1]), Row([1, 5], [0, 0]), Difference(1, Token(5, 1), Token(5, 0))),
    ],
)
def test_first_difference_is_an_id_a_type_or_an_end(
    graph: Row, transformers: Row, difference: object
) -> None:
    assert first_difference(graph, transformers) == difference
