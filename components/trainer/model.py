"""The loss of the classifier, and which of its variables training changes."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from components.trainer.settings import FreezeSettings
from models.encoders.families import forward_of
from models.errors import PipelineError


def row_losses(logits: tf.Tensor, label_ids: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """Cross-entropy per row, float32 [rows].

    `smoothing` spreads that share of the target evenly over all classes: with 0.1 and two classes the
    target of label 0 is [0.95, 0.05].
    """
    if smoothing == 0.0:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(label_ids, logits)
    classes = logits.shape[-1]
    target = tf.one_hot(label_ids, classes) * (1.0 - smoothing) + smoothing / classes
    return tf.nn.softmax_cross_entropy_with_logits(target, logits)


def trained_variables(model: Any, freeze: FreezeSettings) -> list[tf.Variable]:
    """The variables that training changes.

    Raises:
      PipelineError: there are fewer layers than `freeze.layers`.
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
