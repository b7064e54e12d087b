"""The forward pass of the classifier, over the variables of the Hugging Face TF model.

The arithmetic is that of TFBertForSequenceClassification (a test holds logits and gradients together).
Calling the class itself costs a fifth more per step: the head reads the first token only, so in the last
layer nothing but that token's query, output and feed-forward is needed here; and hidden states stay
[rows * tokens, hidden], so that every dense layer is one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from transformers.activations_tf import get_tf_activation

from components.trainer.settings import FreezeSettings
from models import features
from models.errors import PipelineError

_MASKED = -1e9  # added to a score; exp() of it is exactly 0 in float32


@dataclass
class Dropout:
    """Dropout whose masks depend on `seed` only (int64 [2]); without a seed it does nothing.

    Stateless, so that a run that was interrupted and resumed draws the masks it would have drawn.
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


def classify(
    model: Any,
    inputs: Mapping[str, tf.Tensor],
    dropout_seed: tf.Tensor | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Token ids -> logits.

    Args:
      model: what `models.checkpoints.source.load_classifier` returned.
      inputs: input_ids, attention_mask int32 [rows, tokens], optionally token_type_ids.
      dropout_seed: int64 [2] when training; None means no dropout.
      dtype: of the matrix products; layer norms, softmax and the head stay float32.

    Returns:
      float32 [rows, classes].
    """
    config = model.config
    dropout = Dropout(dropout_seed)
    ids = inputs[features.INPUT_IDS]
    rows, tokens = tf.shape(ids)[0], tf.shape(ids)[1]
    hidden = _embed(model.bert.embeddings, ids, inputs.get(features.TOKEN_TYPE_IDS))
    hidden = dropout(hidden, config.hidden_dropout_prob)
    padding = 1.0 - tf.cast(inputs[features.ATTENTION_MASK], tf.float32)
    # Not `padding[:, None, None]`: that is a StridedSlice that TFLite does not have.
    bias = tf.expand_dims(tf.expand_dims(padding, 1), 1) * _MASKED
    layers = model.bert.encoder.layer
    for layer in layers:
        queries = hidden if layer is not layers[-1] else _first_tokens(hidden, rows, tokens)
        hidden = _layer(layer, config, queries, hidden, bias, dropout, dtype)
    pooled = tf.tanh(_dense(hidden, model.bert.pooler.dense, tf.float32))
    rate = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
    return _dense(dropout(pooled, rate), model.classifier, tf.float32)


def _embed(embeddings: Any, ids: tf.Tensor, token_types: tf.Tensor | None) -> tf.Tensor:
    """[rows, tokens] ids -> [rows * tokens, hidden]."""
    types = embeddings.token_type_embeddings
    summed = tf.gather(embeddings.weight, ids) + embeddings.position_embeddings[None, : tf.shape(ids)[1]]
    summed += types[0] if token_types is None else tf.gather(types, token_types)
    return _layer_norm(tf.reshape(summed, [-1, embeddings.hidden_size]), embeddings.LayerNorm)


def _first_tokens(hidden: tf.Tensor, rows: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    return tf.reshape(hidden, [rows, tokens, hidden.shape[-1]])[:, 0]


def _layer(
    layer: Any,
    config: Any,
    queries: tf.Tensor,
    hidden: tf.Tensor,
    bias: tf.Tensor,
    dropout: Dropout,
    dtype: tf.DType,
) -> tf.Tensor:
    """One encoder layer: `queries` (all hidden states, or each row's first) attend to `hidden`."""
    context = _attend(layer.attention.self_attention, config, queries, hidden, bias, dropout, dtype)
    attended = layer.attention.dense_output
    output = dropout(_dense(context, attended.dense, dtype), config.hidden_dropout_prob)
    queries = _layer_norm(queries + tf.cast(output, tf.float32), attended.LayerNorm)
    activation = get_tf_activation(config.hidden_act)
    output = _dense(
        activation(_dense(queries, layer.intermediate.dense, dtype)), layer.bert_output.dense, dtype
    )
    output = dropout(output, config.hidden_dropout_prob)
    return _layer_norm(queries + tf.cast(output, tf.float32), layer.bert_output.LayerNorm)


def _attend(
    attention: Any,
    config: Any,
    queries: tf.Tensor,
    hidden: tf.Tensor,
    bias: tf.Tensor,
    dropout: Dropout,
    dtype: tf.DType,
) -> tf.Tensor:
    """Multi-head attention, [n, hidden] -> [n, hidden]; `bias` is float32 [rows, 1, 1, tokens]."""
    heads, width = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    rows = tf.shape(bias)[0]

    def by_head(values: tf.Tensor) -> tf.Tensor:
        return tf.transpose(tf.reshape(values, [rows, -1, heads, width]), [0, 2, 1, 3])

    # Scaling the queries is cheaper than scaling the scores.
    query = by_head(_dense(queries, attention.query, dtype) * (1.0 / math.sqrt(width)))
    key = by_head(_dense(hidden, attention.key, dtype))
    value = by_head(_dense(hidden, attention.value, dtype))
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + bias
    shares = dropout(tf.cast(tf.nn.softmax(scores), dtype), config.attention_probs_dropout_prob)
    context = tf.transpose(tf.matmul(shares, value), [0, 2, 1, 3])
    return tf.reshape(context, [-1, config.hidden_size])


def _dense(values: tf.Tensor, layer: Any, dtype: tf.DType) -> tf.Tensor:
    product = tf.matmul(tf.cast(values, dtype), tf.cast(layer.kernel, dtype))
    return tf.nn.bias_add(product, tf.cast(layer.bias, dtype))


def _layer_norm(values: tf.Tensor, layer: Any) -> tf.Tensor:
    mean, variance = tf.nn.moments(values, axes=-1, keepdims=True)
    return tf.nn.batch_normalization(values, mean, variance, layer.beta, layer.gamma, layer.epsilon)


def trained_variables(model: Any, freeze: FreezeSettings) -> list[tf.Variable]:
    """The variables that training changes.

    Raises:
      PipelineError: there are fewer layers than `freeze.layers`.
    """
    layers = model.bert.encoder.layer
    if freeze.layers > len(layers):
        raise PipelineError(
            f"train.freeze.layers {freeze.layers} is more than the {len(layers)} layers of the checkpoint"
        )
    parts = ([model.bert.embeddings] if freeze.embeddings else []) + list(layers[: freeze.layers])
    frozen = {variable.ref() for part in parts for variable in part.variables}
    return [variable for variable in model.trainable_variables if variable.ref() not in frozen]
