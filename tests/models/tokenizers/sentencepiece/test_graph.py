"""Unigram in the graph: literal pieces, equal sums, unknown characters, splits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tokenizers import Tokenizer

from components.canary.op_set import TEXT_OPS, foreign_ops
from models.tokenizers.family import family_of, load_spec
from models.tokenizers.sentencepiece.graph import tokenize
from models.tokenizers.sentencepiece.words import word_table
from tests.models.tokenizers.wordpiece.test_spec import edit
from tests.support.full import cases
from tests.support.sentencepiece import write_pieces
from tests.support.tokenizer_folders import flags
from tests.support.tokenizers import token_ids

METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
PIECES = [
    (piece, -float(i)) for i, piece in enumerate(["▁", "a", "b", "c", "▁a", "ab", "▁ab", ",", "▁,", "1"], 1)
]


def pieces_of(folder: Path, texts: Sequence[str]) -> list[list[str]]:
    spec = load_spec(folder)
    rows = token_ids(folder, texts, 10_000)
    assert rows == rust_ids(folder, texts)
    return [[spec.vocab[i] for i in row] for row in rows]


def rust_ids(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def test_words_are_their_most_probable_pieces(tmp_path: Path) -> None:
    folder = write_pieces(tmp_path, PIECES)
    assert pieces_of(folder, ["ab abc", "", " ", "  ba", "a "]) == [
        ["▁", "a", "b", "▁", "a", "b", "c"],
        [],
        ["▁"],
        ["▁", "▁", "b", "a"],
        ["▁", "a", "▁"],
    ]


def test_neighbouring_unknown_characters_are_one_token(tmp_path: Path) -> None:
    folder = write_pieces(tmp_path, PIECES)
    assert pieces_of(folder, ["xyz", "axyb x", "\U0010ffff\uffff"]) == [
        ["▁", "<unk>"],
        ["▁", "a", "<unk>", "b", "▁", "<unk>"],
        ["▁", "<unk>"],
    ]


def test_text_of_the_unknown_piece_joins_unknown_characters(tmp_path: Path) -> None:
    folder = write_pieces(tmp_path, PIECES, normalizer={"type": "NFKD"})
    assert pieces_of(folder, ["a＜unk＞b", "x＜unk＞＜unk＞y", "＜unk＞"]) == [
        ["▁", "a", "<unk>", "b"],
        ["▁", "<unk>"],
        ["▁", "<unk>"],
    ]


def test_of_equal_sums_the_one_with_the_longest_last_piece_wins(tmp_path: Path) -> None:
    scored = [("▁", -1.0), ("a", -3.0), ("aa", -4.0), ("aaa", -5.0), ("b", -2.0), ("ab", -5.0)]
    folder = write_pieces(tmp_path, scored)
    assert pieces_of(folder, ["aaaa", "ab", "aab"]) == [
        ["▁", "a", "aaa"],
        ["▁", "ab"],
        ["▁", "aa", "b"],
    ]


@pytest.mark.parametrize("seed", range(3))
def test_nearly_equal_sums_are_decided_as_the_rust_tokenizer_does(tmp_path: Path, seed: int) -> None:
    """Sums of the same scores in another order differ in the last bit, or not at all."""
    rng = random.Random(seed)
    scores = [-rng.random() * 5 for _ in range(4)]
    letters = "abc"
    pieces = ["▁", *letters, *(a + b for a in letters for b in letters), "aaa", "bcb", "abcab", "▁a"]
    folder = write_pieces(tmp_path, [(piece, rng.choice(scores)) for piece in pieces])
    texts = [
        "".join(rng.choice("abcd ") for _ in range(rng.randint(1, 60))) for _ in range(cases(2_000, 20_000))
    ]
    assert token_ids(folder, texts, 10_000) == rust_ids(folder, texts)


@pytest.mark.parametrize(
    ("pre_tokenizer", "pieces"),
    [
        ([METASPACE], [["▁", "<unk>", "▁", "a", "▁", "▁,", "b"], ["▁", "b", "▁"]]),
        ([METASPACE | {"prepend_scheme": "never"}], [["<unk>", "▁", "a", "▁", "▁,", "b"], ["b", "▁"]]),
        ([METASPACE | {"split": False}], [["▁", "<unk>", "▁", "a", "▁", "▁,", "b"], ["▁", "b", "▁"]]),
        (
            [METASPACE | {"split": False, "prepend_scheme": "never"}],
            [["<unk>", "▁", "a", "▁", "▁,", "b"], ["b", "▁"]],
        ),
        ([{"type": "WhitespaceSplit"}, METASPACE], [["▁", "<unk>", "▁", "a", "▁,", "b"], ["▁", "b"]]),
        (
            [{"type": "Punctuation"}, METASPACE],
            [["▁", "<unk>", "▁", "a", "▁", "▁", "▁,", "▁", "b"], ["▁", "b", "▁"]],
        ),
    ],
    ids=["always", "never", "always, not split", "never, not split", "at white space", "at punctuation"],
)
def test_words_begin_where_the_pre_tokenizers_say(
    tmp_path: Path, pre_tokenizer: list[dict[str, Any]], pieces: list[list[str]]
) -> None:
    folder = write_pieces(tmp_path, PIECES)
    edit(folder / "tokenizer.json", pre_tokenizer={"type": "Sequence", "pretokenizers": pre_tokenizer})
    assert pieces_of(folder, ["\tab a  ,b".replace("ab", "\x01"), "b "]) == pieces
    pieces_of(folder, ["", " ", "▁", "a▁b", " ▁ a", "a,,b, ¡c", "▁,▁", "\u3000a\u2028", "a\n\n b"])


def test_pieces_with_spaces_between_words_are_found_where_nothing_is_split(tmp_path: Path) -> None:
    metaspace = METASPACE | {"split": False}
    folder = write_pieces(tmp_path, [*PIECES, ("▁a▁b", -0.5), ("b▁", -0.5)], pre_tokenizer=metaspace)
    assert pieces_of(folder, ["a b", "a b a"]) == [["▁a▁b"], ["▁a▁b", "▁", "a"]]


def test_added_tokens_are_found_before_and_after_normalization(tmp_path: Path) -> None:
    folder = write_pieces(tmp_path, PIECES, normalizer={"type": "NFKD"})
    tokens = [
        flags("<ａ>") | {"id": 12},
        flags("[c]", normalized=True, lstrip=True, special=False) | {"id": 13},
    ]
    added = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert len(added.get_added_tokens_decoder()) == 2
    state = [flags("<unk>") | {"id": 0}, flags("<pad>") | {"id": 1}, *tokens]
    edit(folder / "tokenizer.json", added_tokens=state)
    texts = ["a<ａ>b", "a<a>b", "a  [ｃ]b", "[c][c]", "<ａ> [c]<unk>", "<pad>"]
    assert token_ids(folder, texts, 100) == rust_ids(folder, texts)
    assert token_ids(folder, texts, 100)[2] == [2, 3, 13, 2, 4]


def test_pieces_that_are_no_word_alone_are_not_looked_up(tmp_path: Path) -> None:
    folder = write_pieces(
        tmp_path, [("▁", -1.0), ("a", -1.0), ("b", -1.0), ("▁ab", -2.0), ("▁aa", -9.0), ("▁b", -2.0)]
    )
    table = word_table(load_spec(folder), "▁")
    assert sorted(table.words[1:]) == [b"", b"ab", b"b"]
    assert pieces_of(folder, ["ab aa b"]) == [["▁ab", "▁", "a", "a", "▁b"]]


def test_graph_has_only_core_ops_and_no_file(tmp_path: Path) -> None:
    folder = write_pieces(tmp_path, PIECES, normalizer={"type": "NFKD"})
    spec, module = load_spec(folder), tf.Module()
    module.run = tf.function(
        lambda texts: tokenize(texts, spec).to_tensor(), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path / "saved"))
    assert foreign_ops(tmp_path / "saved") == []
    names = {
        node.op
        for f in module.run.get_concrete_function().graph.as_graph_def().library.function
        for node in f.node_def
    }
    assert not names & TEXT_OPS
    assert family_of(folder).exports.keys() == {"tflite", "onnx"}
