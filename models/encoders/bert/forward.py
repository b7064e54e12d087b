"""BERT's forward pass, over the variables of TFBertForSequenceClassification.

The arithmetic is that of the class; a test compares logits and gradients. Calling the class itself takes a fifth
more time per step: the head reads only the first token, so in the last layer only that token's query, output and
feed-forward are computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from models import features
from models.encoders.bert_layers import block, block_config, head_dropout
from models.encoders.layers import (
    Block,
    BlockConfig,
    Dropout,
    dense,
    embed,
    encode_first_tokens,
    is_no_bias_or_norm,
    leading_positions,
    padding_bias,
    token_labeller,
    token_type_vectors,
)


def classify(
    model: Any,
    inputs: Mapping[str, tf.Tensor],
    dropout_seed: tf.Tensor | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Token ids -> logits.

    Args:
        model: TFBertForSequenceClassification.
        inputs: input_ids, attention_mask int32 [rows, tokens], optionally token_type_ids.
        dropout_seed: int64 [2] when training; None means no dropout.
        dtype: type of the matrix products; layer norms, softmax and the head stay float32.

    Returns:
        float32 [rows, classes].
    """
    config, dropout = model.config, Dropout(dropout_seed)
    first = encode_first_tokens(*_start(model, inputs, dropout, dtype), dropout, dtype)
    pooled = tf.tanh(dense(first, model.bert.pooler.dense, tf.float32))
    return dense(dropout(pooled, head_dropout(config)), model.classifier, tf.float32)


def _start(
    model: Any, inputs: Mapping[str, tf.Tensor], dropout: Dropout, dtype: tf.DType
) -> tuple[Sequence[Block], BlockConfig, tf.Tensor, tf.Tensor]:
    """The blocks, their settings, the embeddings and the bias of the scores, as `encode_first_tokens` takes them."""
    hidden = dropout(_embed(model.bert.embeddings, inputs), model.config.hidden_dropout_prob)
    blocks = [block(layer) for layer in layers(model)]
    return blocks, block_config(model.config), hidden, padding_bias(inputs[features.ATTENTION_MASK])


label_tokens = token_labeller(_start)


def _embed(layer: Any, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The embeddings, float32 [rows * tokens, hidden]."""
    ids, types = inputs[features.INPUT_IDS], inputs.get(features.TOKEN_TYPE_IDS)
    positions = leading_positions(layer.position_embeddings, ids)
    return embed(layer, ids, positions, token_type_vectors(layer.token_type_embeddings, types))


def embeddings(model: Any) -> Any:
    """The Keras layer with words, positions, token types and their layer norm."""
    return model.bert.embeddings


def layers(model: Any) -> Sequence[Any]:
    """The encoder's Keras layers, from the embeddings on."""
    return model.bert.encoder.layer


def is_decayed(variable: tf.Variable) -> bool:
    """Whether weight decay applies: not to biases and layer norms."""
    return is_no_bias_or_norm(variable)
