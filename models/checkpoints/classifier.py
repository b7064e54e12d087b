"""Loads a checkpoint as the TF model to train. Imports TensorFlow."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.checkpoints.config import check_labels_tokens, read_encoder
from models.checkpoints.weights import encoder_tensors, finite_values
from models.encoders import weights
from models.encoders.families import AUTO


def load_classifier(
    folder: Path,
    labels: Sequence[str],
    *,
    dropout: float | None = None,
    allow_pickle: bool = False,
    seed: int = 0,
    forward: str = AUTO,
    labels_tokens: bool = False,
) -> Any:
    """Builds the TF Hugging Face classifier: the checkpoint's encoder and a new head.

    Args:
        folder: a checkpoint that `models.checkpoints.checks.check_checkpoint` accepts.
        labels: class names; the position is the label id.
        dropout: replaces the checkpoint's dropout before the head.
        allow_pickle: accept `pytorch_model.bin`, which can run code when it is loaded.
        seed: seed of the initial weights of the head (and of the pooler, if the checkpoint has none).
        forward: AUTO, or REFERENCE for the class of transformers even if there is another forward pass.
        labels_tokens: the head gives each token the labels' logits, not each row.

    Returns:
        An instance of the family's TF class, such as TFBertForSequenceClassification or TFBertForTokenClassification, with
        `len(labels)` outputs and float32 weights.

    Raises:
        CheckpointError: config or weights cannot be used (see `encoder_tensors`), or the architecture has no class, or no
            dropout, for tokens.
    """
    encoder = read_encoder(folder)
    if labels_tokens:
        check_labels_tokens(folder, encoder.model_type, dropout)
    tensors = encoder_tensors(folder, encoder, allow_pickle)
    readers = {name: functools.partial(finite_values, tensor) for name, tensor in tensors.items()}
    config = hugging_face_config(folder, labels, None if labels_tokens else dropout)
    model = weights.build_classifier(config, readers, seed, forward, labels_tokens)
    if labels_tokens and dropout is not None:
        model.dropout.rate = dropout  # the classes for tokens read another key, or the encoder's
    return model


def hugging_face_config(folder: Path, labels: Sequence[str], dropout: float | None = None) -> Any:
    """transformers' config, such as BertConfig, of a classifier with this encoder; only keys that `read_encoder` reads.

    Raises:
        CheckpointError: config.json cannot be used.
    """
    encoder = read_encoder(folder)
    values = encoder.config.model_dump()
    if dropout is not None:
        values[encoder.facts.HEAD_DROPOUT] = dropout
    return weights.hugging_face_config(encoder.model_type, values, labels)
