"""BERT's forward pass, over the variables of TFBertForSequenceClassification.

The arithmetic is that of the class (a test holds logits and gradients together). Calling the class itself costs a
fifth more per step: the head reads the first token only, so in the last layer nothing but that token's query,
output and feed-forward is needed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import tensorflow as tf
from transformers.activations_tf import get_tf_activation

from models import features
from models.encoders.layers import (
    Dropout,
    Projections,
    attend,
    dense,
    first_tokens,
    layer_norm,
    padding_bias,
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
    bias = padding_bias(inputs[features.ATTENTION_MASK])
    for layer in layers(model):
        queries = hidden if layer is not layers(model)[-1] else first_tokens(hidden, rows, tokens)
        hidden = _layer(layer, config, queries, hidden, bias, dropout, dtype)
    pooled = tf.tanh(dense(hidden, model.bert.pooler.dense, tf.float32))
    rate = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
    return dense(dropout(pooled, rate), model.classifier, tf.float32)


def _embed(embedding: Any, ids: tf.Tensor, token_types: tf.Tensor | None) -> tf.Tensor:
    """[rows, tokens] ids -> [rows * tokens, hidden]."""
    types = embedding.token_type_embeddings
    summed = tf.gather(embedding.weight, ids) + embedding.position_embeddings[None, : tf.shape(ids)[1]]
    summed += types[0] if token_types is None else tf.gather(types, token_types)
    return layer_norm(tf.reshape(summed, [-1, embedding.hidden_size]), embedding.LayerNorm)


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
    attention, attended = layer.attention.self_attention, layer.attention.dense_output
    projections = Projections(attention.query, attention.key, attention.value)
    drop = partial(dropout, rate=config.attention_probs_dropout_prob)
    context = attend(projections, config.num_attention_heads, queries, hidden, bias, drop, dtype)
    output = dropout(dense(context, attended.dense, dtype), config.hidden_dropout_prob)
    queries = layer_norm(queries + tf.cast(output, tf.float32), attended.LayerNorm)
    activation = get_tf_activation(config.hidden_act)
    output = dense(
        activation(dense(queries, layer.intermediate.dense, dtype)), layer.bert_output.dense, dtype
    )
    output = dropout(output, config.hidden_dropout_prob)
    return layer_norm(queries + tf.cast(output, tf.float32), layer.bert_output.LayerNorm)


def embeddings(model: Any) -> Any:
    """The Keras layer with words, positions, token types and their layer norm."""
    return model.bert.embeddings


def layers(model: Any) -> Sequence[Any]:
    """The encoder's Keras layers, from the embeddings on."""
    return model.bert.encoder.layer


def is_decayed(variable: tf.Variable) -> bool:
    """Biases and layer norms are not decayed."""
    return not ("LayerNorm" in variable.name or variable.name.endswith("/bias:0"))
