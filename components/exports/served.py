"""Reads the signatures of a SavedModel without loading its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from components.model_files import SAVED_MODEL
from models import features


def served_inputs(saved_model: Path) -> tuple[str, ...]:
    """The inputs of the signature that takes token ids: `("input_ids", "attention_mask")`.

    Args:
        saved_model: folder that `components.trainer.export.export_model` wrote.
    """
    return features.model_inputs(_signature(saved_model).inputs)


def served_answer(saved_model: Path) -> tuple[str, int]:
    """Name and number of dimensions of the answer of that signature: `("probabilities", 2)`, `("value", 1)`."""
    outputs = _signature(saved_model).outputs
    [name] = [name for name, info in outputs.items() if info.dtype == types_pb2.DT_FLOAT]
    return name, len(outputs[name].tensor_shape.dim)


def _signature(saved_model: Path) -> Any:
    message = saved_model_pb2.SavedModel.FromString((saved_model / SAVED_MODEL).read_bytes())
    return message.meta_graphs[0].signature_def[features.TOKENS_SIGNATURE]
