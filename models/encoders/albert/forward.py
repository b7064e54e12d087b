"""ALBERT's forward pass, over the variables of TFAlbertForSequenceClassification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from models import features
from models.encoders.bert_layers import block_config
from models.encoders.layers import (
    Block,
    BlockConfig,
    Dropout,
    Part,
    Projections,
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
        model: TFAlbertForSequenceClassification.
        inputs: input_ids, attention_mask int32 [rows, tokens], optionally token_type_ids.
        dropout_seed: int64 [2] when training; None means no dropout.
        dtype: type of the matrix products; layer norms, softmax and the head stay float32.

    Returns:
        float32 [rows, classes].
    """
    config, dropout = model.config, Dropout(dropout_seed)
    first = encode_first_tokens(*_start(model, inputs, dropout, dtype), dropout, dtype)
    pooled = tf.tanh(dense(first, model.albert.pooler, tf.float32))
    return dense(dropout(pooled, config.classifier_dropout_prob), model.classifier, tf.float32)


def _start(
    model: Any, inputs: Mapping[str, tf.Tensor], dropout: Dropout, dtype: tf.DType
) -> tuple[Sequence[Block], BlockConfig, tf.Tensor, tf.Tensor]:
    """The blocks, their settings, the embeddings and the bias of the scores, as `encode_first_tokens` takes them."""
    narrow = dropout(_embed(model.albert.embeddings, inputs), model.config.hidden_dropout_prob)
    hidden = tf.cast(dense(narrow, model.albert.encoder.embedding_hidden_mapping_in, dtype), tf.float32)
    bias = padding_bias(inputs[features.ATTENTION_MASK])
    return _blocks(model), block_config(model.config), hidden, bias


label_tokens = token_labeller(_start)


def _embed(layer: Any, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The embeddings, float32 [rows * tokens, embedding_size]."""
    ids, types = inputs[features.INPUT_IDS], inputs.get(features.TOKEN_TYPE_IDS)
    positions = leading_positions(layer.position_embeddings, ids)
    return embed(layer, ids, positions, token_type_vectors(layer.token_type_embeddings, types))


def _blocks(model: Any) -> list[Block]:
    """The blocks in the order in which they run: 4 layers in 2 groups are the groups 0, 0, 1, 1."""
    total, groups = model.config.num_hidden_layers, layers(model)
    order = (
        groups[int(i / (total / len(groups)))] for i in range(total)
    )  # rounded as in transformers' class
    return [_block(layer) for group in order for layer in group.albert_layers]


def _block(layer: Any) -> Block:
    attention = layer.attention
    return Block(
        projections=Projections(attention.query, attention.key, attention.value),
        attended=attention.dense,
        attention_norm=attention.LayerNorm,
        inner=layer.ffn,
        outer=layer.ffn_output,
        norm=layer.full_layer_layer_norm,
    )


def embeddings(model: Any) -> Part:
    """Words, positions, token types, their layer norm and their projection."""
    projection = model.albert.encoder.embedding_hidden_mapping_in
    return Part([*model.albert.embeddings.variables, *projection.variables])


def layers(model: Any) -> Sequence[Any]:
    """The groups of the encoder's Keras layers, from the embeddings on; one that runs repeatedly is listed once."""
    return model.albert.encoder.albert_layer_groups


def is_decayed(variable: tf.Variable) -> bool:
    """Whether weight decay applies: not to biases and layer norms."""
    return is_no_bias_or_norm(variable)
