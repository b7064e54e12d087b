"""The classifier's variables that training updates, their shares of the learning rate, and its word embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from components.trainer.settings import FreezeSettings
from models.encoders.families import forward_of
from models.errors import PipelineError
from models.own_parts import load_part


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


def add_head(model: Any, path: str, outputs: int, seed: int) -> None:
    """Gives a model that was built to label tokens the user's head, which gives each row its logits.

    Args:
        model: made by `load_classifier` with `labels_tokens`.
        path: the config's `model.head`.
        outputs: logits of a row.
        seed: of the initial weights.

    Raises:
        UsageError: the head cannot be loaded.
    """
    model.classifier.trainable = False  # no longer read
    model.own_head = load_part(path)(int(model.classifier.kernel.shape[0]), outputs, seed)


def decays(model: Any) -> Callable[[tf.Variable], bool]:
    """Whether weight decay applies to a variable: as its family says, and to matrices of the user's head."""
    own = {} if model.own_head is None else {v.ref(): v.shape.rank > 1 for v in model.own_head.variables}
    of_family = forward_of(model).is_decayed
    return lambda variable: own[variable.ref()] if variable.ref() in own else of_family(variable)


def learning_rate_shares(model: Any, variables: Sequence[tf.Variable], decay: float) -> list[float]:
    """The share of the learning rate of each variable: layer-wise learning rate decay.

    Of 2 layers and a decay of 0.5: embeddings 0.125, first layer 0.25, second layer 0.5, what follows them (a last layer
    norm, a pooler, the head) 1. Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification" (2018),
    discriminative fine-tuning, where the decay is 1 / 2.6.
    """
    forward = forward_of(model)
    parts = [forward.embeddings(model), *forward.layers(model)]
    shares = {
        variable.ref(): decay ** (len(parts) - i)
        for i, part in enumerate(parts)
        for variable in part.variables
    }
    return [shares.get(variable.ref(), 1.0) for variable in variables]


def word_embedding(model: Any) -> tf.Variable:
    """The variable with a row for each token id, float32 [vocabulary, width]."""
    encoder = getattr(model, model.base_model_prefix)
    # Mistral's class lacks the method.
    layer = model.get_input_embeddings() if hasattr(encoder, "get_input_embeddings") else encoder.embed_tokens
    # Keras' own layer calls it `embeddings`, those of transformers `weight`.
    return layer.embeddings if hasattr(layer, "embeddings") else layer.weight
