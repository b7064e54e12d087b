"""MPNet's config.json keys and tensors, and their supported values. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated

from pydantic import Field

from models import features
from models.encoders import config as any_family
from models.encoders.config import (
    PADDING,
    Count,
    FairseqPositions,
    LayersConfig,
    NamedShape,
    Sizes,
    has_part,
    weight_and_bias,
)

NAME = "MPNet"
TF_CLASS = "TFMPNetForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK)
# This project's own key: the class uses hidden_dropout_prob, the rate of the whole encoder, before its head too.
HEAD_DROPOUT = "head_dropout_prob"

PREFIX = "mpnet."
PARTS = ("embeddings.", "encoder.", "pooler.")
EMBEDDINGS = ("embeddings.", "encoder.relative_attention_bias.")
HEAD = ("classifier.",)
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ("pooler",)
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED
HARMLESS = any_family.HARMLESS


class Config(LayersConfig):
    """The keys that determine the forward pass, with MPNetConfig's names and defaults."""

    vocab_size: Count = 30527
    max_position_embeddings: FairseqPositions = 512
    # A quarter of them are for single distances, the last of which has to be below 128.
    relative_attention_num_buckets: Annotated[int, Field(ge=4, lt=512)] = 32


def sizes(config: Config) -> Sizes:
    """The sizes that tokenizer, settings and frozen layers have to match."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings - PADDING - 1,
        layers=config.num_hidden_layers,
        token_types=0,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """Yields (name, shape in PyTorch) of every tensor, layer by layer, so that a check can stop at the first missing one."""
    hidden, inner = config.hidden_size, config.intermediate_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, hidden)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)
    yield from weight_and_bias("embeddings.LayerNorm", hidden)
    yield (
        "encoder.relative_attention_bias.weight",
        (config.relative_attention_num_buckets, config.num_attention_heads),
    )
    for layer in (f"encoder.layer.{i}" for i in range(config.num_hidden_layers)):
        for part in ("q", "k", "v", "o"):
            yield from weight_and_bias(f"{layer}.attention.attn.{part}", hidden, hidden)
        yield from weight_and_bias(f"{layer}.attention.LayerNorm", hidden)
        yield from weight_and_bias(f"{layer}.intermediate.dense", inner, hidden)
        yield from weight_and_bias(f"{layer}.output.dense", hidden, inner)
        yield from weight_and_bias(f"{layer}.output.LayerNorm", hidden)
    if has_part(stored, "pooler."):
        yield from weight_and_bias("pooler.dense", hidden, hidden)
