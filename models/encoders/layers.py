"""The building blocks of forward passes, which use the variables of transformers' Keras layers.

Hidden states are [rows * tokens, hidden], so that every dense layer is a single matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf
from transformers.activations_tf import get_tf_activation

from models import features

_MASKED = -1e9  # added to a score; exp() of it is exactly 0 in float32


@dataclass
class Dropout:
    """Dropout whose masks depend only on `seed` (int64 [2]); without a seed it does nothing.

    It is stateless, so that a resumed run draws the same masks as an uninterrupted one.
    """

    seed: tf.Tensor | None = None
    calls: int = 0

    def __call__(self, values: tf.Tensor, rate: float) -> tf.Tensor:
        if self.seed is None or rate == 0.0:
            return values
        self.calls += 1
        return tf.nn.experimental.stateless_dropout(
            values, rate, seed=self.seed + tf.constant([0, self.calls], tf.int64)
        )


@dataclass(frozen=True)
class Part:
    """Variables of several Keras layers that belong together, for `train.freeze`."""

    variables: list[tf.Variable]

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        """As of a Keras layer."""
        return [variable for variable in self.variables if variable.trainable]


class Projections(NamedTuple):
    """The dense layers of an attention."""

    query: Any
    key: Any
    value: Any


class Block(NamedTuple):
    """The Keras layers of one encoder layer that normalizes after its two sums, as in BERT."""

    projections: Projections
    attended: Any  # dense
    attention_norm: Any
    inner: Any  # dense
    outer: Any  # dense
    norm: Any


class BlockConfig(NamedTuple):
    """The settings of all blocks from config.json.

    `activation`: its name in transformers. `attention`: a function with the arguments of `attend`, instead of it.
    """

    heads: int
    activation: str
    attention_dropout: float  # of the shares of attention
    attended_dropout: float  # of what attention adds
    hidden_dropout: float  # of what the feed-forward adds
    attention: Callable[..., tf.Tensor] | None = None


# --- embeddings ---------------------------------------------------------------------------------------


def embed(layer: Any, ids: tf.Tensor, *others: tf.Tensor) -> tf.Tensor:
    """The normalized sum of each token's embeddings.

    Args:
        layer: Keras layer with `weight` [vocabulary, width] and `LayerNorm`.
        ids: int32 [rows, tokens].
        others: embeddings to add to the words': float32 [1 or rows, tokens, width], or [width] for all tokens.

    Returns:
        float32 [rows * tokens, width].
    """
    summed = tf.gather(layer.weight, ids)
    for vectors in others:
        summed += vectors
    return layer_norm(tf.reshape(summed, [-1, layer.weight.shape[-1]]), layer.LayerNorm)


def leading_positions(table: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
    """The embeddings of the positions 0, 1, 2 ...: float32 [1, tokens, width]."""
    return tf.expand_dims(table[: tf.shape(ids)[1]], 0)


def token_type_vectors(table: tf.Variable, types: tf.Tensor | None) -> tf.Tensor:
    """The embeddings of the token types, float32 [rows, tokens, width]; without types, that of type 0, [width]."""
    return table[0] if types is None else tf.gather(table, types)


def positions_past_padding(ids: tf.Tensor, attention_mask: tf.Tensor, padding: int) -> tf.Tensor:
    """fairseq's positions: a token with the id `padding` has the position `padding`, the others count on from there.

    `padding` 1: `[[0, 9, 1, 8, 2, 0]]` with the mask `[[1, 1, 1, 1, 1, 0]]` -> `[[2, 3, 1, 4, 5, 1]]`. Masked
    tokens also have the position of padding: no token attends to them, whatever their ids are.
    """
    counted = tf.cast(tf.not_equal(ids, padding), tf.int32) * tf.cast(attention_mask, tf.int32)
    return tf.cumsum(counted, axis=1) * counted + padding


# --- encoder layers -----------------------------------------------------------------------------------


def encode_first_tokens(
    blocks: Sequence[Block],
    config: BlockConfig,
    hidden: tf.Tensor,
    bias: tf.Tensor,
    dropout: Dropout,
    dtype: tf.DType,
) -> tf.Tensor:
    """Runs all blocks. The head reads only the first tokens, so the last block computes no others.

    Args:
        blocks: from the embeddings on; a block may occur repeatedly.
        hidden: float32 [rows * tokens, hidden].
        bias: as for `attend`.

    Returns:
        float32 [rows, hidden].
    """
    for block in blocks[:-1]:
        hidden = encoder_layer(block, config, hidden, hidden, bias, dropout, dtype)
    first = first_tokens(hidden, rows=tf.shape(bias)[0])
    of_first = bias if bias.shape[2] == 1 else bias[:, :, :1]
    return encoder_layer(blocks[-1], config, first, hidden, of_first, dropout, dtype)


def encode_tokens(
    blocks: Sequence[Block],
    config: BlockConfig,
    hidden: tf.Tensor,
    bias: tf.Tensor,
    dropout: Dropout,
    dtype: tf.DType,
) -> tf.Tensor:
    """Runs all blocks for a head that reads every token: as `encode_first_tokens`, but float32 [rows * tokens, hidden]."""
    for block in blocks:
        hidden = encoder_layer(block, config, hidden, hidden, bias, dropout, dtype)
    return hidden


def encoder_layer(
    block: Block,
    config: BlockConfig,
    queries: tf.Tensor,
    hidden: tf.Tensor,
    bias: tf.Tensor,
    dropout: Dropout,
    dtype: tf.DType,
) -> tf.Tensor:
    """One encoder layer: `queries` (all hidden states, or each row's first) attend to `hidden`."""
    drop = partial(dropout, rate=config.attention_dropout)
    attention = config.attention or attend
    context = attention(block.projections, config.heads, queries, hidden, bias, drop, dtype)
    output = dropout(dense(context, block.attended, dtype), config.attended_dropout)
    queries = layer_norm(queries + tf.cast(output, tf.float32), block.attention_norm)
    activation = get_tf_activation(config.activation)
    output = dense(activation(dense(queries, block.inner, dtype)), block.outer, dtype)
    output = dropout(output, config.hidden_dropout)
    return layer_norm(queries + tf.cast(output, tf.float32), block.norm)


def padding_bias(attention_mask: tf.Tensor) -> tf.Tensor:
    """Converts a mask [rows, tokens], 1 for a token, to the bias of the scores, float32 [rows, 1, 1, tokens]."""
    padding = 1.0 - tf.cast(attention_mask, tf.float32)
    # Not `padding[:, None, None]`, which is a StridedSlice that TFLite does not support.
    return tf.expand_dims(tf.expand_dims(padding, 1), 1) * _MASKED


def first_tokens(hidden: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """[rows * tokens, hidden] -> [rows, hidden]."""
    return tf.reshape(hidden, [rows, -1, hidden.shape[-1]])[:, 0]


def attend(
    projections: Projections,
    heads: int,
    queries: tf.Tensor,
    hidden: tf.Tensor,
    bias: tf.Tensor,
    drop: Callable[[tf.Tensor], tf.Tensor],
    dtype: tf.DType,
) -> tf.Tensor:
    """Multi-head attention, [n, hidden] -> [n, hidden].

    `bias`: added to the scores, float32 [rows, 1 or heads, 1 or queries, tokens]. `drop`: the dropout.
    """
    size = int(projections.query.kernel.shape[-1])
    width, rows = size // heads, tf.shape(bias)[0]

    # Scaling the queries is cheaper than scaling the scores.
    query = by_head(dense(queries, projections.query, dtype) * (1.0 / math.sqrt(width)), rows, heads)
    key = by_head(dense(hidden, projections.key, dtype), rows, heads)
    value = by_head(dense(hidden, projections.value, dtype), rows, heads)
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + bias
    shares = drop(tf.cast(tf.nn.softmax(scores), dtype))
    context = tf.transpose(tf.matmul(shares, value), [0, 2, 1, 3])
    return tf.reshape(context, [-1, size])


def by_head(values: tf.Tensor, rows: tf.Tensor | int, heads: int) -> tf.Tensor:
    """[rows * tokens, heads * width] -> [rows, heads, tokens, width]."""
    width = values.shape[-1] // heads
    return tf.transpose(tf.reshape(values, [rows, -1, heads, width]), [0, 2, 1, 3])


# --- heads and elementary layers ----------------------------------------------------------------------


def two_layer_head(
    head: Any,
    first: tf.Tensor,
    activation: Callable[[tf.Tensor], tf.Tensor],
    rate: float,
    dropout: Dropout,
) -> tf.Tensor:
    """First tokens [rows, hidden] -> logits float32: `head.dense` and `head.out_proj`, with dropout before each."""
    hidden = activation(dense(dropout(first, rate), head.dense, tf.float32))
    return dense(dropout(hidden, rate), head.out_proj, tf.float32)


def token_labeller(
    start: Callable[..., tuple[Sequence[Block], BlockConfig, tf.Tensor, tf.Tensor]],
) -> Callable[..., tf.Tensor]:
    """A family's `label_tokens`. All classes for token classification have the same head: one layer, dropout before it.

    `start(model, inputs, dropout, dtype)` gives what `encode_tokens` takes. `model` has the Keras layers `dropout`, whose rate
    is used, and `classifier`. With `own_head`, the user's, that gives the logits, of rows or of tokens.
    """

    def label_tokens(
        model: Any,
        inputs: Mapping[str, tf.Tensor],
        dropout_seed: tf.Tensor | None = None,
        dtype: tf.DType = tf.float32,
    ) -> tf.Tensor:
        dropout = Dropout(dropout_seed)
        blocks, config, hidden, bias = start(model, inputs, dropout, dtype)
        hidden = encode_tokens(blocks, config, hidden, bias, dropout, dtype)
        if model.own_head is not None:
            by_row = tf.reshape(hidden, [tf.shape(bias)[0], -1, hidden.shape[-1]])
            return model.own_head(by_row, inputs[features.ATTENTION_MASK], dropout)
        hidden = dropout(hidden, model.dropout.rate)
        logits = dense(hidden, model.classifier, tf.float32)
        return tf.reshape(logits, [tf.shape(bias)[0], -1, model.classifier.kernel.shape[-1]])

    return label_tokens


def dense(values: tf.Tensor, layer: Any, dtype: tf.DType) -> tf.Tensor:
    """[n, in] -> [n, out], as `dtype`."""
    product = tf.matmul(tf.cast(values, dtype), tf.cast(layer.kernel, dtype))
    return tf.nn.bias_add(product, tf.cast(layer.bias, dtype))


def layer_norm(values: tf.Tensor, layer: Any) -> tf.Tensor:
    """Layer normalization over the last dimension."""
    mean, variance = tf.nn.moments(values, axes=-1, keepdims=True)
    return tf.nn.batch_normalization(values, mean, variance, layer.beta, layer.gamma, layer.epsilon)


def is_no_bias_or_norm(variable: tf.Variable) -> bool:
    """Whether a variable is neither a bias nor part of a layer norm, under any name of the layer norm.

    `.../output_layer_norm/gamma:0` -> False, `.../output_layer/kernel:0` -> True
    """
    return not variable.name.endswith(("/bias:0", "/gamma:0", "/beta:0"))
