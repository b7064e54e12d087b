"""DistilBERT's forward pass, over the variables of TFDistilBertForSequenceClassification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from models import features
from models.encoders.layers import (
    Block,
    BlockConfig,
    Dropout,
    Projections,
    dense,
    embed,
    encode_first_tokens,
    is_no_bias_or_norm,
    leading_positions,
    padding_bias,
    token_labeller,
)


def classify(
    model: Any,
    inputs: Mapping[str, tf.Tensor],
    dropout_seed: tf.Tensor | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Token ids -> logits.

    Args:
        model: TFDistilBertForSequenceClassification.
        inputs: input_ids, attention_mask int32 [rows, tokens].
        dropout_seed: int64 [2] when training; None means no dropout.
        dtype: type of the matrix products; layer norms, softmax and the head stay float32.

    Returns:
        float32 [rows, classes].
    """
    config, dropout = model.config, Dropout(dropout_seed)
    first = encode_first_tokens(*_start(model, inputs, dropout, dtype), dropout, dtype)
    pooled = tf.nn.relu(dense(first, model.pre_classifier, tf.float32))
    return dense(dropout(pooled, config.seq_classif_dropout), model.classifier, tf.float32)


def _start(
    model: Any, inputs: Mapping[str, tf.Tensor], dropout: Dropout, dtype: tf.DType
) -> tuple[Sequence[Block], BlockConfig, tf.Tensor, tf.Tensor]:
    """The blocks, their settings, the embeddings and the bias of the scores, as `encode_first_tokens` takes them."""
    layer, ids = model.distilbert.embeddings, inputs[features.INPUT_IDS]
    words = embed(layer, ids, leading_positions(layer.position_embeddings, ids))
    blocks = [_block(part) for part in layers(model)]
    bias = padding_bias(inputs[features.ATTENTION_MASK])
    return blocks, _block_config(model.config), dropout(words, model.config.dropout), bias


label_tokens = token_labeller(_start)


def _block(layer: Any) -> Block:
    attention = layer.attention
    return Block(
        projections=Projections(attention.q_lin, attention.k_lin, attention.v_lin),
        attended=attention.out_lin,
        attention_norm=layer.sa_layer_norm,
        inner=layer.ffn.lin1,
        outer=layer.ffn.lin2,
        norm=layer.output_layer_norm,
    )


def _block_config(config: Any) -> BlockConfig:
    return BlockConfig(
        heads=config.n_heads,
        activation=config.activation,
        attention_dropout=config.attention_dropout,
        attended_dropout=0.0,
        hidden_dropout=config.dropout,
    )


def embeddings(model: Any) -> Any:
    """The Keras layer with words, positions and their layer norm."""
    return model.distilbert.embeddings


def layers(model: Any) -> Sequence[Any]:
    """The encoder's Keras layers, from the embeddings on."""
    return model.distilbert.transformer.layer


def is_decayed(variable: tf.Variable) -> bool:
    """Whether weight decay applies: not to biases and layer norms."""
    return is_no_bias_or_norm(variable)
