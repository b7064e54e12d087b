"""Tokenizer files as transformers reads them: the same token ids, or a refusal."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import HealthCheck, event, given, note, settings
from transformers import AutoTokenizer

from components.errors import CheckpointError
from components.transform.hugging_face import hugging_face_tokenizer, verified_spec
from components.transform.wordpiece import encode
from components.transform.wordpiece_spec import load_wordpiece_spec
from tests.components.transform.tokenizer_folders import (
    ADDED,
    SPECIAL,
    TEXTS,
    WORDS,
    Files,
    flags,
    folders,
    tokenizer_json,
    vocabulary_file,
    write_folder,
)

BERT = {"model_type": "bert"}
NO_LIMIT = 200
UNHURRIED = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=1500, **UNHURRIED)
@given(files=folders())
def test_files_are_read_as_transformers_reads_them(
    files: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_folder(tmp_path_factory.getbasetemp() / "folder", files)
    try:
        spec = load_wordpiece_spec(folder)
    except CheckpointError as error:
        assert "\n" not in str(error)
        event("refused")
        return
    event("read")
    note(json.dumps({name: text for name, text in files.items() if name != "vocab.txt"}))
    assert verified_spec(folder) == spec


@settings(max_examples=30, **UNHURRIED)
@given(files=folders())
def test_folders_that_are_accepted_give_the_ids_of_transformers(
    files: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_folder(tmp_path_factory.getbasetemp() / "folder", files)
    with contextlib.suppress(CheckpointError):
        assert ids(folder, TEXTS) == AutoTokenizer.from_pretrained(folder)(TEXTS)["input_ids"]


def ids(folder: Path, texts: list[str]) -> list[list[int]]:
    return encode(tf.constant(texts), load_wordpiece_spec(folder), NO_LIMIT).to_list()
