"""Every tokenizer class with SentencePiece Unigram, from the files that it saves and from its `.model` file alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from models.errors import CheckpointError
from models.tokenizers.family import family_of, load_spec
from models.tokenizers.hugging_face import verified_spec
from models.tokenizers.piece_model import UNIGRAM, UNKNOWN, Piece, piece_model
from tests.support.sentencepiece import CLASSES, write_model_file, write_sentencepiece_tokenizer
from tests.support.tokenizers import model_inputs

FIRST = ["The cat's  <mask> 1,2, ", "a [MASK] the  <mask>x </s> ``a''", "", "[SEP] ÉCAFÉ cats <unk><eop>."]
SECOND = ["a a a a a a a", " cat", "</s> ", "[UNK] [unk]"]
# RemBERT's own file is refused: see below.
FROM_MODEL_FILE = [name for name in CLASSES if name != "RemBertTokenizer"]
KEPT = {
    "all files": [],
    "no tokenizer.json": ["tokenizer.json"],
    "tokenizer.json alone": ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"],
    "no tokenizer_config.json": ["tokenizer_config.json"],
}


def check_rows(folder: Path) -> None:
    """The graph's rows are those of AutoTokenizer."""
    assert family_of(folder).title == "SentencePiece Unigram"
    assert verified_spec(folder) == load_spec(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for texts in ([FIRST], [FIRST, SECOND]):
        wanted = tokenizer(*texts, truncation=True, max_length=12, return_attention_mask=False)
        rows = model_inputs(folder, texts, 12)
        assert rows["input_ids"] == wanted["input_ids"]
        zeros = [[0] * len(row) for row in wanted["input_ids"]]
        assert rows.get("token_type_ids", zeros) == wanted.get("token_type_ids", zeros)


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("name", CLASSES)
def test_files_are_read_as_transformers_reads_them(tmp_path: Path, name: str, kept: str) -> None:
    folder = write_sentencepiece_tokenizer(tmp_path, name, size=900)
    for file in KEPT[kept]:
        (folder / file).unlink(missing_ok=True)
    assert verified_spec(folder) == load_spec(folder)


@pytest.mark.parametrize("name", FROM_MODEL_FILE)
def test_rows_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    check_rows(write_model_file(tmp_path, name, size=900))


@pytest.mark.parametrize(
    ("name", "config", "text", "normalized"),
    [
        ("AlbertTokenizer", {}, "``ÉÀ ''", '"ea "'),
        ("AlbertTokenizer", {"keep_accents": True}, "ÉÀ", "éà"),
        ("AlbertTokenizer", {"do_lower_case": False}, "ÉÀ", "EA"),
        ("DebertaV2Tokenizer", {"do_lower_case": True, "split_by_punct": True}, " A,B ", "a,b"),
        ("XLNetTokenizer", {}, "ÉÀ", "EA"),
        ("XLMRobertaTokenizer", {}, "ÉÀ  ｘ ", "ÉÀ▁x"),
    ],
)
def test_switches_of_a_class_change_how_its_model_file_is_converted(
    tmp_path: Path, name: str, config: dict[str, Any], text: str, normalized: str
) -> None:
    folder = write_model_file(tmp_path, name, size=900, **config)
    assert verified_spec(folder) == load_spec(folder)
    normalizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer.normalizer
    assert normalizer.normalize_str(text) == normalized


@pytest.mark.parametrize(
    "change",
    [
        {"mask_token": "<mask>"},
        {"mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "normalized": True}},
        {"additional_special_tokens": ["<url>"]},
        {"extra_special_tokens": {"image_token": "<img>"}},
        {"model_input_names": ["input_ids", "token_type_ids"]},
        {"unk_token": "[UNK]"},
    ],
)
@pytest.mark.parametrize("name", ["XLMRobertaTokenizer", "CamembertTokenizer", "DebertaV2Tokenizer"])
def test_tokens_of_the_config_are_added_as_transformers_adds_them(
    tmp_path: Path, name: str, change: dict[str, Any]
) -> None:
    folder = write_model_file(tmp_path, name, size=900, **change)
    assert verified_spec(folder) == load_spec(folder)


def test_added_tokens_json_is_read(tmp_path: Path) -> None:
    folder = write_model_file(tmp_path, size=900)
    (folder / "added_tokens.json").write_text(json.dumps({"<url>": len(load_spec(folder).tokens)}))
    assert load_spec(folder).tokens[-1] == "<url>"
    check_rows(folder)


@pytest.mark.parametrize(
    ("name", "single", "pair", "token_types"),
    [
        (
            "XLMRobertaTokenizer",
            ((0, 0), ("A", 0), (2, 0)),
            ((0, 0), ("A", 0), (2, 0), (2, 0), ("B", 0), (2, 0)),
            False,
        ),
        (
            "CamembertTokenizer",
            ((5, 0), ("A", 0), (6, 0)),
            ((5, 0), ("A", 0), (6, 0), (6, 0), ("B", 0), (6, 0)),
            False,
        ),
        (
            "AlbertTokenizer",
            ((2, 0), ("A", 0), (3, 0)),
            ((2, 0), ("A", 0), (3, 0), ("B", 1), (3, 1)),
            True,
        ),
        (
            "XLNetTokenizer",
            (("A", 0), (4, 0), (3, 2)),
            (("A", 0), (4, 0), ("B", 1), (4, 1), (3, 2)),
            True,
        ),
    ],
)
def test_each_class_has_its_templates(
    tmp_path: Path, name: str, single: Any, pair: Any, token_types: bool
) -> None:
    spec = load_spec(write_model_file(tmp_path, name, size=900))
    assert (spec.single, spec.pair, spec.token_types) == (single, pair, token_types)


def test_pieces_of_a_model_file_get_the_ids_of_their_class(tmp_path: Path) -> None:
    vocabularies = {}
    for name in ("XLMRobertaTokenizer", "CamembertTokenizer", "AlbertTokenizer"):
        (folder := tmp_path / name).mkdir()
        vocabularies[name] = load_spec(write_model_file(folder, name, size=900)).vocab
    fairseq = vocabularies["XLMRobertaTokenizer"]
    camembert = vocabularies["CamembertTokenizer"]
    assert fairseq[:4] == ("<s>", "<pad>", "</s>", "<unk>")
    assert camembert[:7] == (
        "<s>NOTUSED",
        "<pad>",
        "</s>NOTUSED",
        "<unk>",
        "<unk>NOTUSED",
        "<s>",
        "</s>",
    )
    assert fairseq[4:] == camembert[7:]
    assert fairseq[-1] == "<mask>"
    assert vocabularies["AlbertTokenizer"][:5] == ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")


def test_rembert_model_file_is_refused_because_transformers_saves_another_tokenizer(tmp_path: Path) -> None:
    folder = write_model_file(tmp_path, "RemBertTokenizer", size=900)
    with pytest.raises(CheckpointError) as error:
        load_spec(folder)
    assert str(error.value) == (
        "tokenizer_config.json: '[MASK]' has normalized true, but sentencepiece.model says false; make the files agree"
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {"mask_token": {"__type": "AddedToken", "content": "[MASK]", "lstrip": True, "normalized": False}}
        )
    )
    check_rows(folder)


def test_xlnet_pads_on_either_side_because_its_forward_pass_moves_the_padding(tmp_path: Path) -> None:
    folder = write_model_file(tmp_path, "XLNetTokenizer", size=900)
    own = load_spec(folder)
    assert AutoTokenizer.from_pretrained(folder).padding_side == "left"
    assert verified_spec(folder) == own
    for side in ("left", "right"):
        (folder / "tokenizer_config.json").write_text(json.dumps({"padding_side": side}))
        assert verified_spec(folder) == load_spec(folder) == own


def test_albert_makes_pieces_that_end_with_a_digit_and_a_comma_improbable(tmp_path: Path) -> None:
    texts = ("<unk>", "<pad>", "[CLS]", "[SEP]", "[MASK]", "▁", "4", ",", "4,", "▁4,", "٤,", "a,", "4,4")
    pieces = [Piece(text, -float(i)) for i, text in enumerate(texts)]
    pieces[0] = Piece("<unk>", 0.0, UNKNOWN)
    (tmp_path / "spiece.model").write_bytes(piece_model(pieces, UNIGRAM))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "albert"}))
    spec = load_spec(tmp_path)
    lowered = {piece for i, piece in enumerate(spec.vocab) if spec.scores[i] == -100.0 - i}
    assert lowered == {"4,", "▁4,", "٤,"}
    assert verified_spec(tmp_path) == spec
    assert model_inputs(tmp_path, [["4,"]], 9)["input_ids"] == [[2, 5, 6, 7, 3]]
