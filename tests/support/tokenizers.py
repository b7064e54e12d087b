"""Tokenizers made on the spot, each as the files of a checkpoint folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import BertTokenizerFast

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

MakeTokenizer = Callable[..., Path]


@pytest.fixture(scope="session")
def make_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> MakeTokenizer:
    """`make_tokenizer(["who", "##s"], do_lower_case=False)` -> folder with tokenizer.json and its config.

    The five special tokens come first, as ids 0 to 4. `normalizer` changes tokenizer.json's switches that
    BertTokenizerFast has no option for.
    """

    def make(words: list[str], normalizer: dict[str, object] | None = None, **options: object) -> Path:
        folder = tmp_path_factory.mktemp("tokenizer")
        vocab = folder / "vocab.txt"
        vocab.write_text(
            "".join(f"{token}\n" for token in [*SPECIAL, *words]), encoding="utf-8", newline="\n"
        )
        BertTokenizerFast(vocab_file=str(vocab), **options).save_pretrained(folder)
        file = folder / "tokenizer.json"
        state = json.loads(file.read_text())
        state["normalizer"] |= normalizer or {}
        file.write_text(json.dumps(state))
        return folder

    return make
