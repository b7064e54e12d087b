"""MPNet's forward pass, over the variables of TFMPNetForSequenceClassification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from models import features
from models.encoders.bert_layers import block_config
from models.encoders.config import PADDING
from models.encoders.layers import (
    Block,
    BlockConfig,
    Dropout,
    Part,
    Projections,
    embed,
    encode_first_tokens,
    is_no_bias_or_norm,
    padding_bias,
    positions_past_padding,
    token_labeller,
    two_layer_head,
)
from models.encoders.mpnet.facts import HEAD_DROPOUT


def classify(
    model: Any,
    inputs: Mapping[str, tf.Tensor],
    dropout_seed: tf.Tensor | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Token ids -> logits.

    Args:
        model: TFMPNetForSequenceClassification.
        inputs: input_ids, attention_mask int32 [rows, tokens].
        dropout_seed: int64 [2] when training; None means no dropout.
        dtype: type of the matrix products; layer norms, softmax and the head stay float32.

    Returns:
        float32 [rows, classes].
    """
    config, dropout = model.config, Dropout(dropout_seed)
    first = encode_first_tokens(*_start(model, inputs, dropout, dtype), dropout, dtype)
    rate = getattr(config, HEAD_DROPOUT, config.hidden_dropout_prob)
    return two_layer_head(model.classifier, first, tf.tanh, rate, dropout)


def _start(
    model: Any, inputs: Mapping[str, tf.Tensor], dropout: Dropout, dtype: tf.DType
) -> tuple[Sequence[Block], BlockConfig, tf.Tensor, tf.Tensor]:
    """The blocks, their settings, the embeddings and the bias of the scores, as `encode_first_tokens` takes them."""
    ids, mask = inputs[features.INPUT_IDS], inputs[features.ATTENTION_MASK]
    layer = model.mpnet.embeddings
    vectors = tf.gather(layer.position_embeddings, positions_past_padding(ids, mask, PADDING))
    hidden = dropout(embed(layer, ids, vectors), model.config.hidden_dropout_prob)
    # Added once for all layers; the class adds both to the scores of each layer.
    bias = padding_bias(mask) + distance_bias(model, tf.shape(ids)[1])
    return [_block(part) for part in layers(model)], block_config(model.config), hidden, bias


label_tokens = token_labeller(_start)


def distance_bias(model: Any, tokens: tf.Tensor) -> tf.Tensor:
    """The bias of the scores by the distance of query and key, float32 [1, heads, tokens, tokens]."""
    farthest = model.config.max_position_embeddings - 1
    with (
        tf.init_scope()
    ):  # once; the class computes the buckets, with a logarithm per distance, in every step
        distances = tf.range(-farthest, farthest + 1)
        buckets = model.mpnet.encoder._relative_position_bucket(
            distances, num_buckets=model.config.relative_attention_num_buckets
        ).numpy()
    index = tf.range(tokens)
    distance = tf.expand_dims(index, 0) - tf.expand_dims(index, 1)
    by_key = tf.gather(model.mpnet.encoder.relative_attention_bias, tf.gather(buckets, distance + farthest))
    return tf.expand_dims(tf.transpose(by_key, [2, 0, 1]), 0)


def _block(layer: Any) -> Block:
    attention = layer.attention.attn
    return Block(
        projections=Projections(attention.q, attention.k, attention.v),
        attended=attention.o,
        attention_norm=layer.attention.LayerNorm,
        inner=layer.intermediate.dense,
        outer=layer.out.dense,
        norm=layer.out.LayerNorm,
    )


def embeddings(model: Any) -> Part:
    """Words, positions, their layer norm and the biases by distance."""
    return Part([*model.mpnet.embeddings.variables, model.mpnet.encoder.relative_attention_bias])


def layers(model: Any) -> Sequence[Any]:
    """The encoder's Keras layers, from the embeddings on."""
    return model.mpnet.encoder.layer


def is_decayed(variable: tf.Variable) -> bool:
    """Whether weight decay applies: not to biases, including those by distance, and layer norms."""
    return is_no_bias_or_norm(variable) and "relative_attention_bias" not in variable.name
