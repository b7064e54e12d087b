"""The encoder layers of the classes that transformers copied from TFBert: their Keras layers have BERT's names."""

from __future__ import annotations

from typing import Any

from models.encoders.layers import Block, BlockConfig, Projections


def block(layer: Any) -> Block:
    """TFBertLayer, or a copy of it, as TFRobertaLayer -> its parts."""
    attention, attended = layer.attention.self_attention, layer.attention.dense_output
    return Block(
        projections=Projections(attention.query, attention.key, attention.value),
        attended=attended.dense,
        attention_norm=attended.LayerNorm,
        inner=layer.intermediate.dense,
        outer=layer.bert_output.dense,
        norm=layer.bert_output.LayerNorm,
    )


def block_config(config: Any) -> BlockConfig:
    """BertConfig, or another with the same names for what its layers do, as MPNetConfig."""
    return BlockConfig(
        heads=config.num_attention_heads,
        activation=config.hidden_act,
        attention_dropout=config.attention_probs_dropout_prob,
        attended_dropout=config.hidden_dropout_prob,
        hidden_dropout=config.hidden_dropout_prob,
    )


def head_dropout(config: Any) -> float:
    """The rate before the head: `classifier_dropout`, or that of the hidden states where there is none."""
    rate = config.classifier_dropout
    return float(config.hidden_dropout_prob if rate is None else rate)
