"""The encoder layers of the classes that transformers copied from TFBert: their Keras layers have BERT's names."""

from __future__ import annotations

from typing import Any

from models.encoders.layers import Block, BlockConfig, Projections


def block(layer: Any) -> Block:
    """The parts of a TFBertLayer or of a copy of it, such as TFRobertaLayer."""
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
    """The settings of a BertConfig or of another config with the same names, such as MPNetConfig."""
    return BlockConfig(
        heads=config.num_attention_heads,
        activation=config.hidden_act,
        attention_dropout=config.attention_probs_dropout_prob,
        attended_dropout=config.hidden_dropout_prob,
        hidden_dropout=config.hidden_dropout_prob,
    )


def head_dropout(config: Any) -> float:
    """The dropout rate before the head: `classifier_dropout`, or that of the hidden states if it is not set."""
    rate = config.classifier_dropout
    return float(config.hidden_dropout_prob if rate is None else rate)
