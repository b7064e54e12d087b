"""Every tokenizer class with byte-level BPE, from the files that it saves and from vocab.json and merges.txt alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from models.tokenizers.family import family_of, load_spec
from models.tokenizers.hugging_face import verified_spec
from tests.support.byte_bpe import CLASSES, write_byte_bpe_tokenizer, write_vocabulary
from tests.support.tokenizers import model_inputs

FIRST = ["The cat's <mask> 12", "a <mask> the  <mask>[MASK] </s>", "", "[SEP] cats <|endoftext|> "]
SECOND = ["a a a a a a a", " cat", "</s> ", ""]
KEPT = {
    "all files": (),
    "no tokenizer.json": ("tokenizer.json",),
    "tokenizer.json alone": ("tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"),
    "no tokenizer_config.json": ("tokenizer_config.json",),
}


def written(folder: Path, name: str, kept: str, **options: Any) -> Path:
    """A checkpoint's folder with what the class saves, without some of it."""
    write_byte_bpe_tokenizer(folder, name, size=600, **options)
    for file in KEPT[kept]:
        (folder / file).unlink()
    if name == "GPT2Tokenizer" and not {"tokenizer_config.json", "special_tokens_map.json"} - {*KEPT[kept]}:
        (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "<|endoftext|>"}))
    return folder


def check_rows(folder: Path, name: str) -> None:
    """The graph's rows are those of AutoTokenizer."""
    assert family_of(folder).title == "byte-level BPE"
    assert verified_spec(folder) == load_spec(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(tokenizer).__name__ == f"{name}Fast"
    for texts in ([FIRST], [FIRST, SECOND]):
        wanted = tokenizer(*texts, truncation=True, max_length=8, return_attention_mask=False)
        rows = model_inputs(folder, texts, 8)
        assert rows["input_ids"] == wanted["input_ids"]
        zeros = [[0] * len(row) for row in wanted["input_ids"]]
        assert rows.get("token_type_ids", zeros) == wanted.get("token_type_ids", zeros)


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("name", CLASSES)
def test_rows_are_those_of_transformers(tmp_path: Path, name: str, kept: str) -> None:
    check_rows(written(tmp_path, name, kept), name)


@pytest.mark.parametrize("name", CLASSES)
def test_prefix_space_is_that_of_the_files(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path, name, "all files", add_prefix_space=True)
    assert load_spec(folder).add_prefix_space
    check_rows(folder, name)
    (folder / "tokenizer.json").unlink()
    assert load_spec(folder).add_prefix_space
    check_rows(folder, name)


def test_generic_class_takes_tokenizer_json_as_it_is(tmp_path: Path) -> None:
    folder = written(tmp_path, "RobertaTokenizer", "all files")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps(config | {"tokenizer_class": "PreTrainedTokenizerFast"})
    )
    check_rows(folder, "PreTrainedTokenizer")
    assert load_spec(folder).token_types


@pytest.mark.parametrize(
    "change",
    [
        {"mask_token": "<mask>"},
        {"mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "normalized": False}},
        {"additional_special_tokens": ["<url>"]},
        {"extra_special_tokens": {"image_token": "<img>"}},
        {"model_input_names": ["input_ids", "token_type_ids"]},
    ],
)
@pytest.mark.parametrize("name", ["RobertaTokenizer", "GPT2Tokenizer"])
def test_tokens_of_the_config_are_added_as_transformers_adds_them(
    tmp_path: Path, name: str, change: dict[str, Any]
) -> None:
    folder = write_vocabulary(tmp_path, name, size=600)
    pad = {} if name == "RobertaTokenizer" else {"pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(pad | change))
    check_rows(folder, name)


def test_added_tokens_json_is_read(tmp_path: Path) -> None:
    folder = write_vocabulary(tmp_path, size=600)
    (folder / "added_tokens.json").write_text(json.dumps({"<url>": len(load_spec(folder).tokens)}))
    assert load_spec(folder).tokens[-1] == "<url>"
    check_rows(folder, "RobertaTokenizer")


def test_gpt2_begins_with_its_token_where_the_config_says_so(tmp_path: Path) -> None:
    folder = write_vocabulary(tmp_path, "GPT2Tokenizer", size=600)
    config = {"add_bos_token": True, "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    end = load_spec(folder).pad_id
    assert load_spec(folder).single == ((end, 0), ("A", 0))
    check_rows(folder, "GPT2Tokenizer")


@pytest.mark.parametrize(
    ("name", "single", "pair"),
    [
        (
            "RobertaTokenizer",
            ((0, 0), ("A", 0), (2, 0)),
            ((0, 0), ("A", 0), (2, 0), (2, 0), ("B", 0), (2, 0)),
        ),
        ("DebertaTokenizer", ((0, 0), ("A", 0), (2, 0)), ((0, 0), ("A", 0), (2, 0), ("B", 1), (2, 1))),
        ("GPT2Tokenizer", (("A", 0),), (("A", 0), ("B", 1))),
    ],
)
def test_each_class_has_its_templates(tmp_path: Path, name: str, single: Any, pair: Any) -> None:
    spec = load_spec(written(tmp_path, name, "no tokenizer.json"))
    assert (spec.single, spec.pair) == (single, pair)
    assert spec.token_types is (name == "DebertaTokenizer")
