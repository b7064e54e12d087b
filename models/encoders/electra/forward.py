"""ELECTRA's forward pass, over the variables of TFElectraForSequenceClassification.

It is BERT's, except for the projection of the embeddings to the width of the layers, and for the head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from transformers.activations_tf import get_tf_activation

from models import features
from models.encoders.bert_layers import block, block_config, head_dropout
from models.encoders.layers import (
    Block,
    BlockConfig,
    Dropout,
    Part,
    dense,
    embed,
    encode_first_tokens,
    is_no_bias_or_norm,
    leading_positions,
    padding_bias,
    token_labeller,
    token_type_vectors,
    two_layer_head,
)


def classify(
    model: Any,
    inputs: Mapping[str, tf.Tensor],
    dropout_seed: tf.Tensor | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Token ids -> logits.

    Args:
        model: TFElectraForSequenceClassification.
        inputs: input_ids, attention_mask int32 [rows, tokens], optionally token_type_ids.
        dropout_seed: int64 [2] when training; None means no dropout.
        dtype: type of the matrix products; layer norms, softmax and the head stay float32.

    Returns:
        float32 [rows, classes].
    """
    dropout = Dropout(dropout_seed)
    first = encode_first_tokens(*_start(model, inputs, dropout, dtype), dropout, dtype)
    return two_layer_head(
        model.classifier, first, get_tf_activation("gelu"), head_dropout(model.config), dropout
    )


def _start(
    model: Any, inputs: Mapping[str, tf.Tensor], dropout: Dropout, dtype: tf.DType
) -> tuple[Sequence[Block], BlockConfig, tf.Tensor, tf.Tensor]:
    """The blocks, their settings, the embeddings and the bias of the scores, as `encode_first_tokens` takes them."""
    hidden = dropout(_embed(model.electra.embeddings, inputs), model.config.hidden_dropout_prob)
    if hasattr(model.electra, "embeddings_project"):
        hidden = tf.cast(dense(hidden, model.electra.embeddings_project, dtype), tf.float32)
    blocks = [block(layer) for layer in layers(model)]
    return blocks, block_config(model.config), hidden, padding_bias(inputs[features.ATTENTION_MASK])


label_tokens = token_labeller(_start)


def _embed(layer: Any, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The embeddings, float32 [rows * tokens, embedding_size]."""
    ids, types = inputs[features.INPUT_IDS], inputs.get(features.TOKEN_TYPE_IDS)
    positions = leading_positions(layer.position_embeddings, ids)
    return embed(layer, ids, positions, token_type_vectors(layer.token_type_embeddings, types))


def embeddings(model: Any) -> Part:
    """Words, positions, token types, their layer norm and their projection."""
    projection = getattr(model.electra, "embeddings_project", None)
    return Part([*model.electra.embeddings.variables, *(projection.variables if projection else [])])


def layers(model: Any) -> Sequence[Any]:
    """The encoder's Keras layers, from the embeddings on."""
    return model.electra.encoder.layer


def is_decayed(variable: tf.Variable) -> bool:
    """Whether weight decay applies: not to biases and layer norms."""
    return is_no_bias_or_norm(variable)
