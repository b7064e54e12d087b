"""What SentencePiece files are accepted, and the one line that says why others are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.tokenizers.added_tokens import FoundToken
from models.tokenizers.family import load_spec
from models.tokenizers.hugging_face import verified_spec
from models.tokenizers.piece_model import BPE, Piece, piece_model
from models.tokenizers.sentencepiece.steps import (
    Metaspace,
    Precompiled,
    Prepend,
    Punctuation,
    Replace,
    Strip,
    Unicode,
    WhitespaceSplit,
)
from tests.models.tokenizers.wordpiece.test_spec import edit, refusal
from tests.support.sentencepiece import write_model_file, write_pieces
from tests.support.tokenizer_folders import flags

METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pieces(tmp_path, [("▁a", -1.5), ("b", -2)])


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(steps)}


def splits(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def replacement(content: str, **pattern: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def test_tokenizer_json_gives_the_whole_spec(folder: Path) -> None:
    spec = load_spec(folder)
    assert spec.vocab == ("<unk>", "<pad>", "▁a", "b")
    assert spec.scores == (0.0, 0.0, -1.5, -2.0)
    assert (spec.unk_id, spec.pad_token, spec.pad_id) == (0, "<pad>", 1)
    assert (spec.normalizers, spec.splitters, spec.metaspace) == ((), (), Metaspace("always", True))
    assert (spec.single, spec.pair) == ((("A", 0),), (("A", 0), ("B", 1)))
    assert spec.found == (FoundToken("<unk>", 0), FoundToken("<pad>", 1))
    assert spec.tokens == spec.vocab


def test_steps_are_read_in_their_order(folder: Path) -> None:
    normalizers = sequence(
        replacement('"', String="``"),
        sequence({"type": "NFKD"}, {"type": "StripAccents"}),
        {"type": "Lowercase"},
        {"type": "Precompiled", "precompiled_charsmap": ""},
        {"type": "Strip", "strip_left": False, "strip_right": True},
        replacement(" ", Regex=" {2,}"),
        {"type": "Prepend", "prepend": "▁"},
    )
    pre_tokenizer = splits({"type": "WhitespaceSplit"}, {"type": "Punctuation"}, METASPACE | {"split": False})
    edit(folder / "tokenizer.json", normalizer=normalizers, pre_tokenizer=pre_tokenizer)
    spec = load_spec(folder)
    assert spec.normalizers == (
        Replace("``", '"'),
        Unicode("NFKD"),
        Unicode("StripAccents"),
        Unicode("Lowercase"),
        Precompiled(""),
        Strip(left=False, right=True),
        Replace(" {2,}", " ", is_regex=True),
        Prepend("▁"),
    )
    assert spec.splitters == (WhitespaceSplit(), Punctuation())
    assert spec.metaspace == Metaspace("always", split=False)


def test_metaspace_of_older_releases_is_read(folder: Path) -> None:
    expected = load_spec(folder)
    old = {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True}
    edit(folder / "tokenizer.json", pre_tokenizer=old)
    assert verified_spec(folder) == expected


def test_scores_are_rounded_as_the_rust_tokenizer_rounds_them(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_text(file.read_text().replace("-1.5", "-7.2542805671691895"))
    assert load_spec(folder).scores[2] == -7.254280567169189
    assert verified_spec(folder) == load_spec(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model.byte_fallback": True},
            "model.byte_fallback is True; in-graph SentencePiece Unigram reproduces only false",
        ),
        (
            {"model.unk_id": None},
            "model.unk_id is None; in-graph SentencePiece Unigram reproduces only an id of the 4 pieces",
        ),
        ({"model.unk_id": 4}, "model.unk_id is 4"),
        ({"model.vocab": [["a", -1], ["a", -2]]}, "model.vocab has the piece 'a' twice; list it once"),
        ({"model.vocab": [["a"]]}, "model.vocab has ['a']; an entry is a piece and its score"),
        ({"model.vocab": [["a", "1"]]}, "model.vocab has ['a', '1']; an entry is a piece and its score"),
        (
            {"model.vocab": [["<unk>", 0], ["<pad>", 0], ["a", 1]]},
            "the score of the piece 'a' is 1.0; in-graph SentencePiece Unigram reproduces only log probabilities, up to 0",
        ),
        (
            {"model.vocab": [["<unk>", 0], ["<pad>", 0], ["<unk><unk>", -1]]},
            "model.vocab is '<unk><unk>'; in-graph SentencePiece Unigram reproduces only vocabularies without '<unk>' repeated",
        ),
        (
            {"normalizer": {"type": "BertNormalizer"}},
            "normalizer.type is 'BertNormalizer'; in-graph SentencePiece Unigram reproduces only",
        ),
        (
            {"normalizer": sequence({"type": "NFKD"}, sequence({"type": "ByteLevel"}))},
            "normalizer.normalizers.1.normalizers.0.type is 'ByteLevel'",
        ),
        (
            {"normalizer": replacement(" ", Regex="\\s+")},
            r"normalizer.pattern.Regex is '\\s+'; in-graph SentencePiece Unigram reproduces only ' {2,}'",
        ),
        ({"normalizer": replacement(" ", String="")}, "normalizer.pattern.String is ''"),
        (
            {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "ab"}},
            "normalizer.precompiled_charsmap is 'ab'; it is no character map of SentencePiece (Incorrect padding)",
        ),
        (
            {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAEAAAAA"}},
            "it is no character map of SentencePiece (its trie has 256 of 6 bytes)",
        ),
        (
            {"pre_tokenizer": None},
            "pre_tokenizer is []; in-graph SentencePiece Unigram reproduces only WhitespaceSplit and Punctuation, or neither, before one Metaspace",
        ),
        (
            {"pre_tokenizer": splits(METASPACE, {"type": "WhitespaceSplit"})},
            "pre_tokenizer is ['Metaspace', 'WhitespaceSplit']",
        ),
        (
            {"pre_tokenizer": splits({"type": "Digits"}, METASPACE)},
            "pre_tokenizer.pretokenizers.0.type is 'Digits'",
        ),
        (
            {"pre_tokenizer": splits({"type": "Punctuation", "behavior": "Removed"}, METASPACE)},
            "pre_tokenizer.pretokenizers.0.behavior is 'Removed'; in-graph SentencePiece Unigram reproduces only 'Isolated'",
        ),
        ({"pre_tokenizer": METASPACE | {"replacement": "_"}}, "pre_tokenizer.replacement is '_'"),
        (
            {"pre_tokenizer": METASPACE | {"add_prefix_space": False}},
            "pre_tokenizer.add_prefix_space is False",
        ),
        (
            {"pre_tokenizer": METASPACE | {"prepend_scheme": "first"}},
            "pre_tokenizer.prepend_scheme is 'first'; in-graph SentencePiece Unigram reproduces only 'always' and 'never'",
        ),
        (
            {"post_processor": {"type": "RobertaProcessing", "cls": ["<s>", 0], "sep": ["</s>", 2]}},
            "post_processor is ['<s>', 0]",
        ),
    ],
)
def test_what_is_not_reproduced_is_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    edit(folder / "tokenizer.json", **changes)
    refused = refusal(folder)
    assert refused.startswith(f"{folder / 'tokenizer.json'}: ")
    assert message in refused


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (flags("[X]", single_word=True), "added token '[X]' single_word is True"),
        (
            flags(" ", normalized=True),
            "the added token ' ' is empty once normalized, or has white space at an end; leave it out, or set normalized to false",
        ),
        (
            flags("Ａ", normalized=True),
            "the added tokens 'Ａ' and 'a' are both 'a' once normalized; only one can be found",
        ),
    ],
)
def test_added_token_that_cannot_be_found_is_refused(
    folder: Path, token: dict[str, Any], message: str
) -> None:
    state = json.loads((folder / "tokenizer.json").read_text())
    normalizer = sequence({"type": "NFKD"}, {"type": "Lowercase"})
    added = [*state["added_tokens"], token | {"id": 4}, flags("a", normalized=True) | {"id": 5}]
    edit(folder / "tokenizer.json", added_tokens=added, normalizer=normalizer)
    assert message in refusal(folder)


def test_pad_token_is_needed(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", pad_token=None)
    assert refusal(folder) == (
        f"{folder}/tokenizer.json: pad_token is None; in-graph SentencePiece Unigram reproduces only tokenizers that have one"
    )


def test_class_without_a_converter_here_is_refused(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", tokenizer_class="T5Tokenizer")
    assert refusal(folder) == (
        f"{folder}/tokenizer_config.json: tokenizer_class is 'T5Tokenizer'; in-graph SentencePiece Unigram reproduces only "
        "XLMRobertaTokenizer, CamembertTokenizer, AlbertTokenizer, RemBertTokenizer, XLNetTokenizer, DebertaV2Tokenizer, "
        "PreTrainedTokenizerFast"
    )


def test_tokenizer_of_xlnet_is_refused_beside_an_encoder_that_leaves_padding_where_it_is(
    tmp_path: Path,
) -> None:
    folder = write_model_file(tmp_path, "XLNetTokenizer", size=900, tokenizer_class="XLNetTokenizer")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    assert refusal(folder) == (
        f'{folder}/tokenizer_config.json: padding_side is "left (XLNetTokenizer\'s own)"; in-graph SentencePiece Unigram '
        "reproduces only 'right'"
    )


def test_model_file_of_another_algorithm_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "xlm-roberta"}')
    file = tmp_path / "sentencepiece.bpe.model"
    file.write_bytes(piece_model([Piece(text, 0.0) for text in "abcd"], BPE))
    assert refusal(tmp_path) == (
        f"{file}: trainer_spec.model_type is 'bpe'; in-graph SentencePiece Unigram reproduces only 'unigram'"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it has no pieces"),
        (b"not a model", "wire type 6 at byte 1"),
        (b"\x0a\x7fabc", "it ends too early"),
        (b"\x0a\x03\x0a\x01\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
)
def test_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "xlm-roberta"}')
    file = tmp_path / "sentencepiece.bpe.model"
    file.write_bytes(content)
    assert refusal(tmp_path) == (
        f"{file}: no SentencePiece model ({reason}); copy the checkpoint's tokenizer files again"
    )


def test_missing_model_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "xlm-roberta"}')
    (tmp_path / "spiece.model").write_bytes(b"")
    assert refusal(tmp_path) == (
        f"{tmp_path}: no tokenizer.json and no sentencepiece.bpe.model; give a checkpoint folder with its tokenizer files"
    )
