"""Reads which encoder a checkpoint's config.json describes. Imports no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from models.encoders.config import CONFIG_FILE
from models.encoders.families import FAMILIES, NOT_TRAINED, Facts
from models.errors import CheckpointError
from models.files import checkpoint_file, read_json, shown, typed


class Encoder(NamedTuple):
    """An encoder as config.json describes it. `config`: the `Config` of its family's facts."""

    model_type: str
    facts: Facts
    config: Any


def read_encoder(folder: Path) -> Encoder:
    """Reads config.json.

    Raises:
        CheckpointError: the file is malformed, the architecture is unknown, or a key asks for another
            forward pass; the message names the key.
    """
    path = checkpoint_file(folder, CONFIG_FILE)
    kind, values = read_model_type(folder), read_json(path)
    facts = FAMILIES[kind].facts()
    for key, advice in facts.REFUSED.items():
        if values.get(key):
            raise CheckpointError(f"{path}: {key} is {shown(values[key])}; {advice}")
    return Encoder(kind, facts, typed(facts.Config, path, values))


def read_model_type(folder: Path) -> str:
    """The key of FAMILIES that config.json names.

    Raises:
        CheckpointError: the file is malformed, or names no known family.
    """
    path = checkpoint_file(folder, CONFIG_FILE)
    kind = read_json(path).get("model_type")
    if isinstance(kind, str) and kind in NOT_TRAINED:
        raise CheckpointError(
            f"{path}: a model of model_type {kind!r} cannot be trained: {NOT_TRAINED[kind]}"
        )
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise CheckpointError(
            f"{path}: model_type {shown(kind)} is not one of {sorted(FAMILIES)}, "
            "the families that can be trained and tokenized in the graph"
        )
    return kind


def unread_keys(folder: Path, facts: Facts) -> list[str]:
    """Keys of config.json that neither transformers' class nor this project reads; they have no effect."""
    known = {*facts.HARMLESS, *facts.REFUSED, *facts.Config.model_fields}
    values = read_json(checkpoint_file(folder, CONFIG_FILE))
    return sorted(key for key in values if key not in known and not key.startswith("_"))


def check_labels_tokens(folder: Path, model_type: str, dropout: float | None) -> None:
    """Raises CheckpointError if an architecture cannot be trained to label tokens."""
    family = FAMILIES[model_type]
    if not family.labels_tokens:
        can = ", ".join(name for name, row in FAMILIES.items() if row.labels_tokens)
        raise CheckpointError(
            f"{folder}: transformers has no class in TensorFlow that labels tokens for {model_type}; give a checkpoint of {can}"
        )
    if dropout is not None and not family.token_dropout:
        raise CheckpointError(
            f"{folder}: the head for tokens of {model_type} has no dropout; remove model.dropout ({dropout})"
        )
