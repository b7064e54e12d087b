"""Reads the signatures of a SavedModel without loading its weights."""

from __future__ import annotations

from pathlib import Path

from tensorflow.core.protobuf import saved_model_pb2

from components.model_files import SAVED_MODEL
from models import features


def served_inputs(saved_model: Path) -> tuple[str, ...]:
    """The inputs of the signature that takes token ids: `("input_ids", "attention_mask")`.

    Args:
        saved_model: folder that `components.trainer.export.export_model` wrote.
    """
    message = saved_model_pb2.SavedModel.FromString((saved_model / SAVED_MODEL).read_bytes())
    signature = message.meta_graphs[0].signature_def[features.TOKENS_SIGNATURE]
    return features.model_inputs(signature.inputs)
