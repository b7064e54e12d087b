"""Byte-level BPE tokenizers, trained on the spot, as the files of a checkpoint folder."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tests.support.unicode_texts import generated_texts

ENGLISH = [
    "the cat sat on the mat, and it's the cat's: they're a cat, we've 123 cats! I'll say it isn't.",
    "a b a b the the THE Cat un believe able who was one of the 1990s 2000 e-mail http://a.b/c",
]
ROBERTA_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
# Class without "Fast" -> model_type and the special tokens before and behind the words.
CLASSES: dict[str, tuple[str, Sequence[str], Sequence[str]]] = {
    "RobertaTokenizer": ("roberta", ROBERTA_SPECIAL, ("<mask>",)),
    "LongformerTokenizer": ("longformer", ROBERTA_SPECIAL, ("<mask>",)),
    "BartTokenizer": ("bart", ROBERTA_SPECIAL, ("<mask>",)),
    "DebertaTokenizer": ("deberta", ("[CLS]", "[PAD]", "[SEP]", "[UNK]"), ("[MASK]",)),
    "GPT2Tokenizer": ("gpt2", (), ("<|endoftext|>",)),
}


@functools.cache
def trained(texts: tuple[str, ...] = (), size: int = 2000) -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens in the order in which they were made, and merges; default: of generated texts and some English."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts or [*ENGLISH * 50, *generated_texts(3000, seed=7)], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].__getitem__), [tuple(merge) for merge in model["merges"]]


def write_vocabulary(
    folder: Path, name: str = "RobertaTokenizer", texts: tuple[str, ...] = (), size: int = 2000
) -> Path:
    """Writes vocab.json, merges.txt and config.json into a folder that exists."""
    tokens, merges = trained(texts, size)
    model_type, before, behind = CLASSES[name]
    vocab = {token: index for index, token in enumerate([*before, *tokens, *behind])}
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    (folder / "merges.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    return folder


def write_byte_bpe_tokenizer(
    folder: Path,
    name: str = "RobertaTokenizer",
    texts: tuple[str, ...] = (),
    size: int = 2000,
    **options: Any,
) -> Path:
    """Writes what the class saves, which takes the `options`, into a folder that exists."""
    write_vocabulary(folder, name, texts, size)
    if name == "GPT2Tokenizer":
        options.setdefault("pad_token", "<|endoftext|>")
    vocab, merges = str(folder / "vocab.json"), str(folder / "merges.txt")
    getattr(transformers, f"{name}Fast")(vocab, merges, **options).save_pretrained(folder)
    return folder
