"""Selects the classifier's variables that training updates, and its word embedding."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from components.trainer.settings import FreezeSettings
from models.encoders.families import forward_of
from models.errors import PipelineError


def trained_variables(model: Any, freeze: FreezeSettings) -> list[tf.Variable]:
    """The variables that training updates.

    Raises:
        PipelineError: the encoder has fewer layers than `freeze.layers`.
    """
    forward = forward_of(model)
    layers = forward.layers(model)
    if freeze.layers > len(layers):
        raise PipelineError(
            f"train.freeze.layers {freeze.layers} is more than the {len(layers)} layers of the checkpoint"
        )
    parts = ([forward.embeddings(model)] if freeze.embeddings else []) + list(layers[: freeze.layers])
    frozen = {variable.ref() for part in parts for variable in part.variables}
    return [variable for variable in model.trainable_variables if variable.ref() not in frozen]


def word_embedding(model: Any) -> tf.Variable:
    """The variable with a row for each token id, float32 [vocabulary, width]."""
    encoder = getattr(model, model.base_model_prefix)
    # Mistral's class lacks the method.
    layer = model.get_input_embeddings() if hasattr(encoder, "get_input_embeddings") else encoder.embed_tokens
    # Keras' own layer calls it `embeddings`, those of transformers `weight`.
    return layer.embeddings if hasattr(layer, "embeddings") else layer.weight
