"""A tiny random BERT checkpoint and a small learnable dataset, made for the tests."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TOPICS = {
    "animal": ("cat", "dog", "horse"),
    "number": ("one", "two", "three"),
    "place": ("rome", "oslo", "lima"),
}
FILLERS = ("the", "what", "is", "of", "and", "how", "many", "?", ".", "say", "old", "far")


def vocabulary() -> list[str]:
    """Words of the rows below, single letters and their continuations, so that nothing is unknown."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = [word for topic in TOPICS.values() for word in topic]
    return [*SPECIAL, *FILLERS, *words, *letters, *(f"##{c}" for c in letters)]


def write_checkpoint(
    folder: Path, hidden: int = 32, layers: int = 2, seed: int = 0, words: Sequence[str] = ()
) -> Path:
    """Writes an uncased BERT encoder with random weights as PyTorch would save it (safetensors).

    Args:
        words: all that it knows, beside special tokens; default: what the rows below are made of.
    """
    vocab = [*SPECIAL, *words] if words else vocabulary()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64})
    )
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 2 * hidden,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "vocab_size": len(vocab),
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(_weights(config, seed), str(folder / "model.safetensors"), metadata={"format": "pt"})
    _write_fast_tokenizer(folder)
    return folder


def _weights(config: dict, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    hidden, inner = config["hidden_size"], config["intermediate_size"]

    def table(rows: int, columns: int) -> np.ndarray:
        return rng.normal(0.0, 0.1, (rows, columns)).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": table(config["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": table(config["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": table(config["type_vocab_size"], hidden),
        **_layer_norm("embeddings.LayerNorm", hidden),
        **_dense("pooler.dense", table(hidden, hidden)),
    }
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}"
        for part in ("query", "key", "value"):
            weights |= _dense(f"{layer}.attention.self.{part}", table(hidden, hidden))
        weights |= _dense(f"{layer}.attention.output.dense", table(hidden, hidden))
        weights |= _layer_norm(f"{layer}.attention.output.LayerNorm", hidden)
        weights |= _dense(f"{layer}.intermediate.dense", table(inner, hidden))
        weights |= _dense(f"{layer}.output.dense", table(hidden, inner))
        weights |= _layer_norm(f"{layer}.output.LayerNorm", hidden)
    return weights


def _dense(name: str, weight: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}.weight": weight, f"{name}.bias": np.zeros(len(weight), np.float32)}


def _layer_norm(name: str, size: int) -> dict[str, np.ndarray]:
    return {f"{name}.weight": np.ones(size, np.float32), f"{name}.bias": np.zeros(size, np.float32)}


def _write_fast_tokenizer(folder: Path) -> None:
    from transformers import BertTokenizerFast

    BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder)


def rows(count: int, seed: int = 0) -> Iterable[tuple[str, str]]:
    """Yields (text, label); the label is the topic of the one topic word in the text."""
    rng = random.Random(seed)
    for number in range(count):
        label = rng.choice(sorted(TOPICS))
        words = [rng.choice(FILLERS) for _ in range(rng.randint(2, 9))]
        words.insert(rng.randrange(len(words) + 1), rng.choice(TOPICS[label]))
        # The number makes every text a different one, so that de-duplication keeps them all.
        yield f"{' '.join(words)} {number}", label
