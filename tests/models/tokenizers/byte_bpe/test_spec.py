"""What byte-level BPE files are accepted, and the one line that says why others are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.tokenizers.added_tokens import FoundToken
from models.tokenizers.family import family_of, load_spec
from models.tokenizers.hugging_face import verified_spec
from tests.models.tokenizers.wordpiece.test_spec import edit, refusal
from tests.support.byte_bpe import ENGLISH, write_byte_bpe_tokenizer, write_vocabulary
from tests.support.tokenizer_folders import flags


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_byte_bpe_tokenizer(tmp_path, texts=tuple(ENGLISH), size=300)


def test_tokenizer_json_gives_the_whole_spec(folder: Path) -> None:
    spec = load_spec(folder)
    assert spec.vocab[:6] == ("<s>", "<pad>", "</s>", "<unk>", "!", '"')
    assert spec.vocab[-1] == "<mask>"
    assert len(spec.merges) == 300 - 256
    assert spec.merges[:4] == (("a", "t"), ("h", "e"), ("t", "he"), ("Ġ", "the"))
    assert (spec.add_prefix_space, spec.ignore_merges, spec.token_types) == (False, False, False)
    assert (spec.pad_token, spec.pad_id) == ("<pad>", 1)
    assert spec.found[-1] == FoundToken("<mask>", 304, lstrip=True)
    assert spec.tokens == spec.vocab


def test_older_file_without_the_type_of_its_model_and_with_merges_as_texts_is_read(folder: Path) -> None:
    spec = load_spec(folder)
    state = json.loads((folder / "tokenizer.json").read_text())
    del state["model"]["type"], state["model"]["ignore_merges"], state["pre_tokenizer"]["use_regex"]
    state["model"]["merges"] = [" ".join(merge) for merge in state["model"]["merges"]]
    (folder / "tokenizer.json").write_text(json.dumps(state))
    assert verified_spec(folder) == spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.dropout": 0.1}, "model.dropout is 0.1; in-graph byte-level BPE reproduces only 0.0"),
        (
            {"model.byte_fallback": True},
            "model.byte_fallback is True; in-graph byte-level BPE reproduces only False",
        ),
        ({"model.end_of_word_suffix": "</w>"}, "model.end_of_word_suffix is '</w>'; in-graph byte-level BPE"),
        ({"model.continuing_subword_prefix": "##"}, "model.continuing_subword_prefix is '##'"),
        (
            {"normalizer": {"type": "NFC"}},
            "normalizer.type is 'NFC'; in-graph byte-level BPE reproduces only none",
        ),
        (
            {"pre_tokenizer": {"type": "Metaspace"}},
            "pre_tokenizer.type is 'Metaspace'; in-graph byte-level BPE reproduces only 'ByteLevel'",
        ),
        (
            {"pre_tokenizer": None},
            "pre_tokenizer.type is None; in-graph byte-level BPE reproduces only 'ByteLevel'",
        ),
        ({"pre_tokenizer.use_regex": False}, "pre_tokenizer.use_regex is False"),
        (
            {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}]}},
            "pre_tokenizer.type is 'Sequence'; in-graph byte-level BPE reproduces only 'ByteLevel'",
        ),
        (
            {"pre_tokenizer.add_prefix_space": True},
            "pre_tokenizer.add_prefix_space is true but tokenizer_config.json says add_prefix_space false; make the two "
            "files agree",
        ),
        ({"model.merges": ["a"]}, "model.merges[0] is 'a'; a merge has two parts"),
        ({"model.merges": [["a", 1]]}, "model.merges[0] is ['a', 1]; a merge has two parts"),
        ({"model.merges": ["q z"]}, "model.merges[0] has 'qz', which is not in model.vocab"),
        ({"model.merges": ["h e", ["h", "e"]]}, "model.merges has a merge twice; list it once"),
        (
            {"model.merges": ["t he", "h e"]},
            "model.merges[0] is 't he'; in-graph byte-level BPE reproduces only merges of tokens that earlier merges "
            "make: model.merges[1] makes 'he'",
        ),
        (
            {"model.vocab": {"a": 0, "b": 2}},
            "model.vocab has no id 1 before 'b' (2); ids must be 0, 1, 2 ...",
        ),
        (
            {"model.vocab": {"a": 0}, "model.merges": []},
            "model.vocab has no token for 255 of the 256 bytes, such as 0x21 ('!'); train the tokenizer with "
            "initial_alphabet=ByteLevel.alphabet()",
        ),
        (
            {"added_tokens": [{"id": 4, **flags("!", single_word=True)}]},
            "added token '!' single_word is True; in-graph byte-level BPE reproduces only false",
        ),
        ({"padding": {"direction": "Left", "pad_token": "<pad>"}}, "padding.direction is 'Left'"),
        ({"post_processor": {"type": "Own"}}, "post_processor.type is 'Own'"),
    ],
)
def test_tokenizers_that_cannot_be_reproduced_are_refused(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    edit(folder / "tokenizer.json", **changes)
    if "model.vocab" in changes:  # special tokens of an own id would be in the way
        (folder / "tokenizer_config.json").unlink()
        edit(folder / "tokenizer.json", added_tokens=[], post_processor=None)
    assert refusal(folder).startswith(f"{folder / 'tokenizer.json'}: {message}")


def test_ignored_merges_and_a_long_token_that_none_makes_are_refused(folder: Path) -> None:
    edit(folder / "tokenizer.json", **{"model.ignore_merges": True, f"model.vocab.{'z' * 16}": 305})
    assert refusal(folder) == (
        f"{folder / 'tokenizer.json'}: model.ignore_merges is True; in-graph byte-level BPE reproduces only false beside "
        "the token 'zzzzzzzzzzzzzzzz', which has over 15 bytes and which no merge makes"
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "tokenizer_class",
            "WhisperTokenizer",
            "tokenizer_class is 'WhisperTokenizer'; in-graph byte-level BPE reproduces only RobertaTokenizer, "
            "LongformerTokenizer, BartTokenizer, DebertaTokenizer, GPT2Tokenizer, PreTrainedTokenizerFast",
        ),
        ("padding_side", "left", "padding_side is 'left'; in-graph byte-level BPE reproduces only 'right'"),
        ("split_special_tokens", True, "split_special_tokens is True"),
    ],
)
def test_keys_that_make_another_tokenizer_are_refused_by_name(
    folder: Path, key: str, value: Any, message: str
) -> None:
    edit(folder / "tokenizer_config.json", **{key: value})
    assert refusal(folder).startswith(f"{folder / 'tokenizer_config.json'}: {message}")


def test_gpt2_without_a_token_for_padding_is_refused(tmp_path: Path) -> None:
    folder = write_vocabulary(tmp_path, "GPT2Tokenizer", size=300)
    assert refusal(folder) == (
        f"{folder / 'vocab.json'}: pad_token is None; in-graph byte-level BPE reproduces only tokenizers that have one: "
        "name one in tokenizer_config.json, and its id as pad_token_id in config.json"
    )


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_half_of_the_files_is_refused(tmp_path: Path, missing: str) -> None:
    folder = write_vocabulary(tmp_path, size=300)
    (folder / missing).unlink()
    assert family_of(folder).title == "byte-level BPE"
    assert refusal(folder) == (
        f"{folder}: no tokenizer.json, and not both vocab.json and merges.txt; give a checkpoint folder with its "
        "tokenizer files"
    )


def test_malformed_lines_of_merges_txt_are_named(tmp_path: Path) -> None:
    folder = write_vocabulary(tmp_path, size=300)
    (folder / "merges.txt").write_text("#version: 0.2\nt h\nt h e\n")
    assert refusal(folder) == f"{folder / 'merges.txt'}: line 3 is 't h e'; a merge has two parts"


def test_class_of_special_tokens_that_the_vocabulary_lacks_is_refused(tmp_path: Path) -> None:
    folder = write_vocabulary(tmp_path, size=300)
    (folder / "tokenizer_config.json").write_text(json.dumps({"cls_token": "[CLS]"}))
    assert refusal(folder) == (
        f"{folder / 'tokenizer_config.json'}: cls_token is '[CLS]'; in-graph byte-level BPE reproduces only tokens of "
        "vocab.json"
    )


def test_openai_gpts_bpe_is_refused_with_the_reason(folder: Path) -> None:
    changes = {"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}}
    edit(folder / "tokenizer.json", **changes, **{"model.end_of_word_suffix": "</w>"})
    assert refusal(folder) == (
        f"{folder / 'tokenizer.json'}: pre_tokenizer.type is 'BertPreTokenizer'; in-graph byte-level BPE reproduces only "
        "'ByteLevel'"
    )
