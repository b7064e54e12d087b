"""What ConvBERT's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from models import features
from models.encoders import config as any_family
from models.encoders.config import Count, LayersConfig, NamedShape, Share, Sizes, weight_and_bias

NAME = "ConvBERT"
TF_CLASS = "TFConvBertForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "classifier_dropout"

PREFIX = "convbert."
PARTS = ("embeddings.", "embeddings_project.", "encoder.")
HEAD = ("classifier.",)
EMBEDDINGS = ("embeddings.", "embeddings_project.")
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED
HARMLESS = any_family.HARMLESS | {
    "summary_activation",
    "summary_last_dropout",
    "summary_type",
    "summary_use_proj",
}


class Config(LayersConfig):
    """The keys that make the forward pass, with ConvBertConfig's names and defaults."""

    embedding_size: Count = 768
    head_ratio: Count = 2
    conv_kernel_size: Count = 9
    num_groups: Literal[1] = 1  # the class has a grouped layer whose weights PyTorch keeps in another order
    type_vocab_size: Count = 2
    classifier_dropout: Share | None = None


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
    embedded, hidden, inner = config.embedding_size, config.hidden_size, config.intermediate_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, embedded)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, embedded)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, embedded)
    yield from weight_and_bias("embeddings.LayerNorm", embedded)
    if embedded != hidden:
        yield from weight_and_bias("embeddings_project", hidden, embedded)
    for layer in (f"encoder.layer.{i}" for i in range(config.num_hidden_layers)):
        yield from _attention(f"{layer}.attention.self", config)
        yield from weight_and_bias(f"{layer}.attention.output.dense", hidden, hidden)
        yield from weight_and_bias(f"{layer}.attention.output.LayerNorm", hidden)
        yield from weight_and_bias(f"{layer}.intermediate.dense", inner, hidden)
        yield from weight_and_bias(f"{layer}.output.dense", hidden, inner)
        yield from weight_and_bias(f"{layer}.output.LayerNorm", hidden)


def _attention(name: str, config: Config) -> Iterator[NamedShape]:
    """Some of the heads are a convolution."""
    hidden, kernel = config.hidden_size, config.conv_kernel_size
    heads = max(1, config.num_attention_heads // config.head_ratio)
    width = heads * (hidden // config.num_attention_heads)
    for part in ("query", "key", "value", "conv_out_layer"):
        yield from weight_and_bias(f"{name}.{part}", width, hidden)
    yield f"{name}.key_conv_attn_layer.depthwise.weight", (hidden, 1, kernel)
    yield f"{name}.key_conv_attn_layer.pointwise.weight", (width, hidden, 1)
    yield f"{name}.key_conv_attn_layer.bias", (width, 1)
    yield from weight_and_bias(f"{name}.conv_kernel_layer", heads * kernel, width)
