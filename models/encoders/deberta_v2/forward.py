"""DeBERTa-v2's and v3's forward pass, over the variables of TFDebertaV2ForSequenceClassification.

The class projects the embeddings of all distances (512 rows, in v3) in every layer and gathers one score for each pair
of tokens. Here only the distances that a batch has are projected, and no score is gathered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import tensorflow as tf
from transformers.activations_tf import get_tf_activation
from transformers.models.deberta_v2.modeling_tf_deberta_v2 import make_log_bucket_position

from models import features
from models.encoders.bert_layers import block_config
from models.encoders.disentangled import distances
from models.encoders.layers import (
    Block,
    BlockConfig,
    Dropout,
    Part,
    Projections,
    by_head,
    dense,
    embed,
    encode_first_tokens,
    encoder_layer,
    first_tokens,
    is_no_bias_or_norm,
    layer_norm,
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
        model: TFDebertaV2ForSequenceClassification.
        inputs: input_ids, attention_mask int32 [rows, tokens], optionally token_type_ids.
        dropout_seed: int64 [2] when training; None means no dropout.
        dtype: type of the matrix products; layer norms, softmax and the head stay float32.

    Returns:
        float32 [rows, classes].
    """
    dropout = Dropout(dropout_seed)
    blocks, config, hidden, bias = _start(model, inputs, dropout, dtype)
    if blocks:
        first = encode_first_tokens(blocks, config, hidden, bias, dropout, dtype)
    else:
        first = first_tokens(hidden, rows=tf.shape(bias)[0])
    return _head(model, first, dropout)


def _start(
    model: Any, inputs: Mapping[str, tf.Tensor], dropout: Dropout, dtype: tf.DType
) -> tuple[Sequence[Block], BlockConfig, tf.Tensor, tf.Tensor]:
    """The blocks, their settings, the embeddings and the bias of the scores, as `encode_first_tokens` takes them.

    With a convolution, which is beside the first block, what follows both takes the place of the embeddings.
    """
    mask, blocks = inputs[features.ATTENTION_MASK], [_block(layer) for layer in layers(model)]
    embedded = dropout(_embed(model, inputs), model.config.hidden_dropout_prob)
    attention = partial(
        attend,
        terms=_terms(model.config),
        parts=1 + len(_KINDS.intersection(model.config.pos_att_type or ())),
        vectors=_distance_vectors(model, tf.shape(mask)[1]),
        drop_vectors=partial(dropout, rate=model.config.hidden_dropout_prob),
    )
    config, bias = block_config(model.config)._replace(attention=attention), padding_bias(mask)
    if model.deberta.encoder.conv is None:
        return blocks, config, embedded, bias
    hidden = encoder_layer(blocks[0], config, embedded, embedded, bias, dropout, dtype)
    return blocks[1:], config, _with_convolution(model, hidden, embedded, mask, dropout), bias


label_tokens = token_labeller(_start)


def _head(model: Any, first: tf.Tensor, dropout: Dropout) -> tf.Tensor:
    config = model.config
    pooled = dense(dropout(first, config.pooler_dropout), model.pooler.dense, tf.float32)
    pooled = get_tf_activation(config.pooler_hidden_act)(pooled)
    rate = config.hidden_dropout_prob if config.cls_dropout is None else config.cls_dropout
    return dense(dropout(pooled, rate), model.classifier, tf.float32)


def _embed(model: Any, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The embeddings, float32 [rows * tokens, hidden]; positions and token types are optional."""
    layer, ids = model.deberta.embeddings, inputs[features.INPUT_IDS]
    others = []
    if layer.position_embeddings is not None:
        others.append(leading_positions(layer.position_embeddings, ids))
    if layer.token_type_embeddings is not None:
        others.append(token_type_vectors(layer.token_type_embeddings, inputs.get(features.TOKEN_TYPE_IDS)))
    return embed(layer, ids, *others)


def _block(layer: Any) -> Block:
    attention, attended = layer.attention.self, layer.attention.dense_output
    return Block(
        projections=Projections(attention.query_proj, attention.key_proj, attention.value_proj),
        attended=attended.dense,
        attention_norm=attended.LayerNorm,
        inner=layer.intermediate.dense,
        outer=layer.bert_output.dense,
        norm=layer.bert_output.LayerNorm,
    )


def _with_convolution(
    model: Any, hidden: tf.Tensor, embedded: tf.Tensor, mask: tf.Tensor, dropout: Dropout
) -> tf.Tensor:
    """Adds the convolution of the embeddings to the first block's output; all float32 [rows * tokens, hidden]."""
    layer = model.deberta.encoder.conv
    tokens = tf.cast(tf.expand_dims(mask, 2), tf.float32)  # the convolution sees zeros for padding
    values = tf.reshape(embedded, [*tf.unstack(tf.shape(mask)), embedded.shape[-1]]) * tokens
    sides = [[0, 0], [layer.padding, layer.padding], [0, 0]]
    seen = tf.nn.conv1d(tf.pad(values, sides), layer.conv_kernel, stride=1, padding="VALID")
    seen = dropout(tf.nn.bias_add(seen, layer.conv_bias) * tokens, model.config.hidden_dropout_prob)
    return layer_norm(hidden + tf.reshape(layer.conv_act(seen), tf.shape(embedded)), layer.LayerNorm)


# --- attention to words and distances -------------------------------------------------------------------


_KINDS = frozenset({"c2p", "p2c"})


def _terms(config: Any) -> tuple[str, ...]:
    """What is added to the scores: "c2p", from words to distances, and "p2c", from distances to words."""
    return tuple(config.pos_att_type or ()) if config.relative_attention else ()


def _distance_vectors(model: Any, tokens: tf.Tensor) -> tf.Tensor | None:
    """The embeddings of the distances -tokens to tokens, query - key: float32 [2 * tokens + 1, hidden]."""
    config, encoder = model.config, model.deberta.encoder
    if not _terms(config):
        return None
    table, farthest = encoder.rel_embeddings, config.max_position_embeddings
    if config.norm_rel_ebd == "layer_norm":
        table = layer_norm(table, encoder.LayerNorm)
    span = table.shape[0] // 2
    with tf.init_scope():  # once; the class computes a logarithm for each pair of tokens in every step
        buckets = tf.range(-farthest, farthest + 1)
        if config.position_buckets > 0:
            buckets = make_log_bucket_position(buckets, config.position_buckets, distances(config))
        places = tf.clip_by_value(buckets + span, 0, 2 * span - 1).numpy()
    asked = tf.clip_by_value(tf.range(-tokens, tokens + 1), -farthest, farthest)
    return tf.gather(table, tf.gather(places, asked + farthest))


def attend(
    projections: Projections,
    heads: int,
    queries: tf.Tensor,
    hidden: tf.Tensor,
    bias: tf.Tensor,
    drop: Callable[[tf.Tensor], tf.Tensor],
    dtype: tf.DType,
    *,
    terms: tuple[str, ...],
    parts: int,
    vectors: tf.Tensor | None,
    drop_vectors: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    """Multi-head attention as `models.encoders.layers.attend`, with scores by distance.

    Args:
        queries: `hidden`, or the first token of each row.
        terms: as `_terms` gives them.
        parts: sums by which the class scales the scores: also those of an unused `pos_att_type` count.
        vectors: as `_distance_vectors` gives them.
        drop_vectors: their dropout.
    """
    rows, size = tf.shape(bias)[0], int(projections.query.kernel.shape[-1])
    scale = 1.0 / math.sqrt(size // heads * parts)
    query = by_head(dense(queries, projections.query, dtype) * scale, rows, heads)
    key = by_head(dense(hidden, projections.key, dtype), rows, heads)
    value = by_head(dense(hidden, projections.value, dtype), rows, heads)
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + bias
    if vectors is not None:
        # The projections of the words are those of the distances, too (share_att_key).
        dropped, first = drop_vectors(vectors), queries is not hidden
        if "c2p" in terms:
            by_key = by_head(dense(dropped, projections.key, dtype), 1, heads)
            scores += tf.cast(_words_to_distances(query, by_key, first), tf.float32)
        if "p2c" in terms:
            by_query = by_head(dense(dropped, projections.query, dtype) * scale, 1, heads)
            scores += tf.cast(_distances_to_words(by_query, key, first), tf.float32)
    shares = drop(tf.cast(tf.nn.softmax(scores), dtype))
    context = tf.transpose(tf.matmul(shares, value), [0, 2, 1, 3])
    return tf.reshape(context, [-1, size])


def _words_to_distances(query: tf.Tensor, distant: tf.Tensor, first: bool) -> tf.Tensor:
    """The score of query i and key j by query i and the distance i - j.

    Args:
        query: [rows, heads, queries, width].
        distant: projected vectors [1, heads, 2 * tokens + 1, width].
        first: whether i is 0 alone.

    Returns:
        [rows, heads, queries, tokens].
    """
    falling = tf.reverse(distant, [2])
    if first:
        return tf.matmul(query, _of_first(falling), transpose_b=True)
    return _by_pair(tf.matmul(query, falling[:, :, 1:], transpose_b=True))


def _distances_to_words(distant: tf.Tensor, key: tf.Tensor, first: bool) -> tf.Tensor:
    """The score of query i and key j by the distance i - j and key j; arguments as of `_words_to_distances`."""
    if first:
        scores = tf.reduce_sum(key * _of_first(tf.reverse(distant, [2])), axis=-1)
        return tf.expand_dims(scores, 2)
    return tf.linalg.matrix_transpose(_by_pair(tf.matmul(key, distant[:, :, 1:], transpose_b=True)))


def _of_first(falling: tf.Tensor) -> tf.Tensor:
    """Of the distances tokens to -tokens those of the first query, 0 to -(tokens - 1)."""
    tokens = tf.shape(falling)[2] // 2
    return falling[:, :, tokens : 2 * tokens]


def _by_pair(scores: tf.Tensor) -> tf.Tensor:
    """[.., i, k] -> [.., i, j] with k = j - i + tokens - 1: [rows, heads, tokens, 2 * tokens] -> [.., tokens, tokens].

    Read in rows of one less, each row begins one place further to the left; nothing is gathered.
    """
    rows, heads, tokens = tf.shape(scores)[0], scores.shape[1], tf.shape(scores)[2]
    flat = tf.reshape(scores, [rows, heads, 2 * tokens * tokens])
    shifted = flat[:, :, tokens - 1 : tokens - 1 + tokens * (2 * tokens - 1)]
    return tf.reshape(shifted, [rows, heads, tokens, 2 * tokens - 1])[:, :, :, :tokens]


# --- what training asks -----------------------------------------------------------------------------------


def embeddings(model: Any) -> Part:
    """Words, positions, token types, distances, their layer norms, and the convolution of the embeddings."""
    encoder = model.deberta.encoder
    inside = {variable.ref() for layer in encoder.layer for variable in layer.variables}
    others = [variable for variable in encoder.variables if variable.ref() not in inside]
    return Part([*model.deberta.embeddings.variables, *others])


def layers(model: Any) -> Sequence[Any]:
    """The encoder's Keras layers, from the embeddings on."""
    return model.deberta.encoder.layer


def is_decayed(variable: tf.Variable) -> bool:
    """Whether weight decay applies: not to biases and layer norms."""
    return is_no_bias_or_norm(variable)
