"""Tokenizers made on the spot, each as the files of a checkpoint folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from transformers import BertTokenizerFast

from models.features import INPUT_IDS
from models.tokenizers.family import family_of, load_spec
from models.tokenizers.packing import encode

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

MakeTokenizer = Callable[..., Path]


def write_bert_tokenizer(
    folder: Path, words: Sequence[str], normalizer: dict[str, object] | None = None, **options: object
) -> Path:
    """Writes tokenizer.json, vocab.txt and their config into a folder that exists.

    The five special tokens come first, as ids 0 to 4. `normalizer` changes tokenizer.json's switches that
    BertTokenizerFast, which takes the `options`, has none for.
    """
    vocab = folder / "vocab.txt"
    vocab.write_text("".join(f"{token}\n" for token in [*SPECIAL, *words]), encoding="utf-8", newline="\n")
    BertTokenizerFast(vocab_file=str(vocab), **options).save_pretrained(folder)
    file = folder / "tokenizer.json"
    state = json.loads(file.read_text())
    state["normalizer"] |= normalizer or {}
    file.write_text(json.dumps(state))
    return folder


def model_inputs(
    folder: Path, texts: Sequence[Sequence[str | bytes]], max_length: int
) -> dict[str, list[list[int]]]:
    """What the graph makes of one text a row, or of two, as `preprocessing_fn` does."""
    graph, spec = family_of(folder).load_graph(), load_spec(folder)
    rows = [tf.constant(list(column), tf.string) for column in texts]
    return {name: row.to_list() for name, row in encode(rows, graph.tokenize, spec, max_length).items()}


def token_ids(folder: Path, texts: Sequence[str | bytes], max_length: int) -> list[list[int]]:
    return model_inputs(folder, [texts], max_length)[INPUT_IDS]


@pytest.fixture(scope="session")
def make_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> MakeTokenizer:
    """`make_tokenizer(["who", "##s"], do_lower_case=False)` -> folder with what `write_bert_tokenizer` writes."""

    def make(words: list[str], **options: Any) -> Path:
        return write_bert_tokenizer(tmp_path_factory.mktemp("tokenizer"), words, **options)

    return make
