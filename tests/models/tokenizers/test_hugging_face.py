"""Tokenizer files as transformers reads them: the same token ids, or a refusal."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from transformers import AutoTokenizer

from models.errors import CheckpointError
from models.tokenizers import hugging_face
from models.tokenizers.family import load_spec
from models.tokenizers.hugging_face import hugging_face_tokenizer, verified_spec
from models.tokenizers.wordpiece.spec import WordpieceSpec
from tests.support.full import cases
from tests.support.tokenizer_folders import (
    SPECIAL,
    TEXTS,
    Files,
    flags,
    folders,
    tokenizer_json,
    vocabulary_file,
    write_folder,
)
from tests.support.tokenizers import token_ids

BERT = {"model_type": "bert"}
VOCAB = [*SPECIAL, "hello", "world", "e", "##1", "[", "]", "[E1]"]  # [E1] is 11, the next free id 12
UNCUT = 200
UNHURRIED: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def ids(folder: Path, texts: list[str]) -> list[list[int]]:
    return token_ids(folder, texts, UNCUT)


def written(tmp_path: Path, files: Files) -> Path:
    return write_folder(
        tmp_path / "tokenizer", {"vocab.txt": vocabulary_file(VOCAB), "config.json": BERT, **files}
    )


# --- every way to add a token -------------------------------------------------------------------------

PLAIN = [9, 7, 8, 10]  # [ e ##1 ]


@pytest.mark.parametrize(
    ("files", "upper", "lower"),
    [
        ({}, PLAIN, PLAIN),
        # A token of added_tokens.json is no special one: it is looked for once the text is normalized.
        ({"added_tokens.json": {"[E1]": 11}}, [11], [11]),
        (
            {
                "added_tokens.json": {"[E1]": 11},
                "special_tokens_map.json": {"additional_special_tokens": ["[E1]"]},
            },
            [11],
            PLAIN,
        ),
        ({"special_tokens_map.json": {"additional_special_tokens": ["[E1]"]}}, [11], PLAIN),
        (
            {
                "special_tokens_map.json": {
                    "additional_special_tokens": [{"content": "[E1]", "normalized": True}]
                }
            },
            [11],
            [11],
        ),
        (
            {
                "tokenizer_config.json": {
                    "additional_special_tokens": [
                        {"__type": "AddedToken", "content": "[E1]", "normalized": True}
                    ]
                }
            },
            [11],
            [11],
        ),
        ({"tokenizer_config.json": {"bos_token": "[E1]"}}, [11], PLAIN),
        ({"special_tokens_map.json": {"eos_token": "[E1]"}}, [11], PLAIN),
        ({"special_tokens_map.json": {"mask_token": {"content": "[E1]", "normalized": True}}}, [11], [11]),
        ({"tokenizer_config.json": {"extra_special_tokens": {"image_token": "[E1]"}}}, [11], PLAIN),
        # transformers reads no other name, so neither is read here.
        ({"tokenizer_config.json": {"image_token": "[E1]"}}, PLAIN, PLAIN),
        ({"tokenizer_config.json": {"never_split": ["[E1]"], "do_basic_tokenize": False}}, PLAIN, PLAIN),
        (
            {"tokenizer_config.json": {"added_tokens_decoder": {"11": flags("[E1]", normalized=True)}}},
            [11],
            [11],
        ),
        # The newer key says all: the older files are not opened.
        (
            {
                "tokenizer_config.json": {"added_tokens_decoder": {}},
                "added_tokens.json": {"[E1]": 11},
                "special_tokens_map.json": {"additional_special_tokens": ["[E1]"]},
            },
            PLAIN,
            PLAIN,
        ),
        ({"tokenizer.json": tokenizer_json(VOCAB, [{"id": 11, **flags("[E1]")}])}, [11], PLAIN),
        ({"tokenizer.json": tokenizer_json(VOCAB, []), "added_tokens.json": {"[E1]": 11}}, [11], [11]),
    ],
)
def test_a_token_of_the_vocabulary_is_found_as_the_files_say(
    tmp_path: Path, files: Files, upper: list[int], lower: list[int]
) -> None:
    folder = written(tmp_path, files)
    texts = ["Hello [E1] world", "hello[e1]"]
    wanted = [[2, 5, *upper, 6, 3], [2, 5, *lower, 3]]
    assert AutoTokenizer.from_pretrained(folder)(texts)["input_ids"] == wanted
    assert ids(folder, texts) == wanted


def test_tokens_past_the_vocabulary_are_found_in_normalized_text(tmp_path: Path) -> None:
    added = ["[X]", "É2", "新词", "new york", "covid", "covid19", "😀"]  # from 12
    folder = written(tmp_path, {"added_tokens.json": {token: 12 + i for i, token in enumerate(added)}})
    texts = ["[x]e2É2", "hello新词world", "New\tYORK newyork", "precovids COVID19", "😀hello😀"]
    wanted = [
        [2, 12, 13, 13, 3],
        [2, 5, 14, 6, 3],
        [2, 15, 1, 3],
        [2, 1, 16, 1, 17, 3],
        [2, 18, 5, 18, 3],
    ]
    assert AutoTokenizer.from_pretrained(folder)(texts)["input_ids"] == wanted
    assert ids(folder, texts) == wanted
    assert verified_spec(folder).tokens[12:] == tuple(added)


def test_mask_token_that_vocab_txt_lacks_gets_the_next_id(tmp_path: Path) -> None:
    folder = written(
        tmp_path, {"vocab.txt": vocabulary_file([token for token in VOCAB if token != "[MASK]"])}
    )
    assert AutoTokenizer.from_pretrained(folder)(["hello [MASK]"])["input_ids"] == [[2, 4, 11, 3]]
    assert ids(folder, ["hello [MASK]"]) == [[2, 4, 11, 3]]


def test_lines_of_vocab_txt_end_where_they_do_for_transformers(tmp_path: Path) -> None:
    folder = written(tmp_path, {"vocab.txt": "\r\n".join(SPECIAL) + "\rhello\nworld\n"})
    assert AutoTokenizer.from_pretrained(folder)(["hello world"])["input_ids"] == [[2, 5, 6, 3]]
    assert ids(folder, ["hello world"]) == [[2, 5, 6, 3]]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"added_tokens.json": {"[E1]": 3}},
            "added_tokens.json: '[E1]' has the id 3, but Hugging Face's fast tokenizer gives it 11; "
            "make the files agree",
        ),
        (
            {"added_tokens.json": {"[X]": 20}},
            "'[X]' has the id 20, but Hugging Face's fast tokenizer gives it 12",
        ),
        (
            {"tokenizer_config.json": {"added_tokens_decoder": {"7": flags("[E1]")}}},
            "tokenizer_config.json: '[E1]' has the id 7",
        ),
        (
            {
                "tokenizer.json": tokenizer_json(VOCAB, [{"id": 11, **flags("[E1]")}]),
                "tokenizer_config.json": {"added_tokens_decoder": {"11": flags("[E1]", normalized=True)}},
            },
            "tokenizer_config.json: '[E1]' has normalized true, but tokenizer.json says false; make the files agree",
        ),
        (
            {"special_tokens_map.json": {"mask_token": {"content": "[MASK]", "single_word": True}}},
            "added token '[MASK]' single_word is True; in-graph WordPiece reproduces only false",
        ),
        (
            {"tokenizer_config.json": {"mask_token": {"content": "[MASK]", "normalized": True}}},
            "tokenizer_config.json: mask_token is {'content': '[MASK]', 'normalized': True}",
        ),
        ({"tokenizer_config.json": {"extra_special_tokens": ["[E1]"]}}, "extra_special_tokens is ['[E1]']"),
        (
            {"special_tokens_map.json": {"extra_special_tokens": {"a": "[E1]"}}},
            "special_tokens_map.json: extra_special",
        ),
        (
            {
                "tokenizer_config.json": {
                    "do_basic_tokenize": False,
                    "added_tokens_decoder": {"11": flags("[E1]", normalized=True)},
                }
            },
            "tokenizer_config.json: do_basic_tokenize is False; in-graph WordPiece reproduces only true beside the "
            "added token '[E1]', which is found in normalized text",
        ),
        ({"tokenizer_config.json": {"cls_token": None}}, "cls_token is None"),
        ({"tokenizer_config.json": {"bos_token": "\ud800"}}, "bos_token.content is '\\ud800'"),
        ({"added_tokens.json": {"\ud800": 12}}, "added_tokens.json: "),
        ({"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"}}, "no tokenizer.json"),
        (
            {"vocab.txt": vocabulary_file(["[PAD]", "[CLS]", "[SEP]"])},
            "unk_token '[UNK]' is not in the vocabulary of 3",
        ),
    ],
)
def test_files_that_contradict_each_other_or_transformers_are_refused(
    tmp_path: Path, files: Files, message: str
) -> None:
    with pytest.raises(CheckpointError) as error:
        load_spec(written(tmp_path, files))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# --- generated folders --------------------------------------------------------------------------------


@settings(max_examples=cases(150, full=600), **UNHURRIED)
@given(files=folders())
def test_files_are_read_as_transformers_reads_them(
    files: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    note(json.dumps(files))
    folder = write_folder(tmp_path_factory.getbasetemp() / "folder", files)
    try:
        spec = load_spec(folder)
    except CheckpointError:
        return
    assert verified_spec(folder) == spec


@settings(max_examples=20, **UNHURRIED)
@given(files=folders())
def test_folders_that_are_accepted_give_the_ids_of_transformers(
    files: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    note(json.dumps(files))
    folder = write_folder(tmp_path_factory.getbasetemp() / "folder", files)
    with contextlib.suppress(CheckpointError):
        assert ids(folder, TEXTS) == AutoTokenizer.from_pretrained(folder)(TEXTS)["input_ids"]


# --- the proof before Transform -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"special_tokens": ()}, "special_tokens was read as [], transformers makes it [('[CLS]', 2), "),
        ({"lower_case": False}, "lower_case was read as False, transformers makes it True"),
        ({"vocab": tuple(VOCAB[:-1])}, "vocab was read as [], transformers makes it ['[E1]']"),
        (
            {"single": ((2, 0), ("A", 0), (4, 0))},
            "single was read as [(4, 0)], transformers makes it [(3, 0)]",
        ),
    ],
)
def test_a_tokenizer_that_was_read_otherwise_than_by_transformers_stops_transform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    """As after an upgrade of transformers that reads the files in another way."""
    folder = written(tmp_path, {})
    read = load_spec(folder)
    monkeypatch.setattr(hugging_face, "load_spec", lambda folder: replace(read, **change))
    with pytest.raises(CheckpointError) as error:
        verified_spec(folder)
    assert message in str(error.value)


def test_a_key_that_only_transformers_trips_over_is_one_line(tmp_path: Path) -> None:
    folder = written(tmp_path, {"tokenizer_config.json": {"encode": "a method's name"}})
    assert isinstance(load_spec(folder), WordpieceSpec)
    with pytest.raises(
        CheckpointError, match=r"transformers cannot load the tokenizer \(AttributeError: encode con"
    ):
        hugging_face_tokenizer(folder)
