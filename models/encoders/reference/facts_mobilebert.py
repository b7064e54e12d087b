"""What MobileBERT's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field

from models import features
from models.encoders import config as any_family
from models.encoders.config import (
    Activation,
    Count,
    LayersConfig,
    NamedShape,
    Share,
    Sizes,
    has_part,
    weight_and_bias,
)

NAME = "MobileBERT"
TF_CLASS = "TFMobileBertForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "classifier_dropout"

PREFIX = "mobilebert."
PARTS = ("embeddings.", "encoder.", "pooler.")
HEAD = ("classifier.",)
EMBEDDINGS = ("embeddings.",)
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED
HARMLESS = (any_family.HARMLESS - {"pad_token_id"}) | {"true_hidden_size"}


class Config(LayersConfig):
    """The keys that make the forward pass, with MobileBertConfig's names and defaults."""

    hidden_size: int = Field(512, ge=1)
    num_hidden_layers: int = Field(24, ge=1)
    num_attention_heads: int = Field(4, ge=1)
    intermediate_size: int = Field(512, ge=1)
    hidden_act: Activation = "relu"
    hidden_dropout_prob: Share = 0.0
    type_vocab_size: Count = 2
    embedding_size: Count = 128
    trigram_input: bool = True
    # transformers' class in TensorFlow builds its projections for these values of the three alone.
    use_bottleneck: Literal[True] = True
    intra_bottleneck_size: Count = 128
    use_bottleneck_attention: Literal[False] = False
    key_query_shared_bottleneck: Literal[True] = True
    num_feedforward_networks: Count = 4
    normalization_type: Literal["no_norm", "layer_norm"] = "no_norm"
    classifier_activation: bool = True
    classifier_dropout: Share | None = None
    pad_token_id: int = Field(0, ge=0)


def sizes(config: Config) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings,
        layers=config.num_hidden_layers,
        token_types=config.type_vocab_size,
        pairs_by_type=True,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """(name, shape as PyTorch keeps it) of every tensor; layer by layer, so that the first miss ends it."""
    embedded, hidden = config.embedding_size, config.hidden_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, embedded)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, hidden)
    transformed = embedded * (3 if config.trigram_input else 1)
    yield from weight_and_bias("embeddings.embedding_transformation", hidden, transformed)
    yield from weight_and_bias("embeddings.LayerNorm", hidden)
    for i in range(config.num_hidden_layers):
        yield from _layer(f"encoder.layer.{i}", config)
    if config.classifier_activation and has_part(stored, "pooler."):
        yield from weight_and_bias("pooler.dense", hidden, hidden)


def _layer(layer: str, config: Config) -> Iterator[NamedShape]:
    hidden, inner = config.hidden_size, config.intermediate_size
    width = config.intra_bottleneck_size
    for part, inputs in (("query", width), ("key", width), ("value", hidden)):
        yield from weight_and_bias(f"{layer}.attention.self.{part}", width, inputs)
    yield from weight_and_bias(f"{layer}.attention.output.dense", width, width)
    yield from weight_and_bias(f"{layer}.attention.output.LayerNorm", width)
    yield from weight_and_bias(f"{layer}.intermediate.dense", inner, width)
    yield from weight_and_bias(f"{layer}.output.dense", width, inner)
    yield from weight_and_bias(f"{layer}.output.LayerNorm", width)
    yield from weight_and_bias(f"{layer}.output.bottleneck.dense", hidden, width)
    yield from weight_and_bias(f"{layer}.output.bottleneck.LayerNorm", hidden)
    for part in ("input", "attention"):
        yield from weight_and_bias(f"{layer}.bottleneck.{part}.dense", width, hidden)
        yield from weight_and_bias(f"{layer}.bottleneck.{part}.LayerNorm", width)
    for ffn in (f"{layer}.ffn.{i}" for i in range(config.num_feedforward_networks - 1)):
        yield from weight_and_bias(f"{ffn}.intermediate.dense", inner, width)
        yield from weight_and_bias(f"{ffn}.output.dense", width, inner)
        yield from weight_and_bias(f"{ffn}.output.LayerNorm", width)
