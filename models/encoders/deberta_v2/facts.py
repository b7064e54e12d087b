"""What DeBERTa-v2's and v3's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field, model_validator

from models import features
from models.encoders import config as any_family
from models.encoders.config import (
    Activation,
    LayersConfig,
    NamedShape,
    Share,
    Sizes,
    bert_layers,
    weight_and_bias,
)
from models.encoders.disentangled import PositionTerms, distances, embeddings

NAME = "DeBERTa-v2"
TF_CLASS = "TFDebertaV2ForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "cls_dropout"

PREFIX = "deberta."
PARTS = ("embeddings.", "encoder.")
HEAD = ("pooler.", "classifier.")
# The norm is that of the relative positions; the convolution beside the first layer reads the embeddings.
EMBEDDINGS = ("embeddings.", "encoder.rel_embeddings.", "encoder.LayerNorm.", "encoder.conv.")
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED | {
    "embedding_size": "only embeddings of the size of the hidden states are supported; remove the key if they are",
    "attention_head_size": "only heads that share the hidden size evenly are supported; remove the key if they do",
}
HARMLESS = any_family.HARMLESS | {"legacy", "padding_idx", "pooler_hidden_size"}


class Config(LayersConfig):
    """The keys that make the forward pass, with DebertaV2Config's names and defaults."""

    vocab_size: int = Field(128100, ge=1)
    hidden_size: int = Field(1536, ge=1)
    num_hidden_layers: int = Field(24, ge=1)
    num_attention_heads: int = Field(24, ge=1)
    intermediate_size: int = Field(6144, ge=1)
    type_vocab_size: int = Field(0, ge=0)
    layer_norm_eps: float = Field(1e-7, ge=0.0)
    relative_attention: bool = False
    max_relative_positions: int = -1
    position_buckets: int = -1
    norm_rel_ebd: Literal["none", "layer_norm"] = "none"
    share_att_key: bool = False
    position_biased_input: bool = True
    pos_att_type: PositionTerms = None
    conv_kernel_size: int = Field(0, ge=0)
    conv_act: Activation = "tanh"
    conv_groups: Literal[1] = 1  # the class in TensorFlow has one group only
    pooler_dropout: Share = 0.0
    pooler_hidden_act: Activation = "gelu"
    cls_dropout: Share | None = None

    @model_validator(mode="after")
    def _shared_keys(self) -> Config:
        if self.relative_attention and self.pos_att_type and not self.share_att_key:
            raise ValueError(
                "share_att_key False adds projections whose tensors transformers calls differently in TensorFlow and "
                "PyTorch; only True is supported with pos_att_type"
            )
        if self.conv_kernel_size % 2 == 0 and self.conv_kernel_size:
            raise ValueError(f"conv_kernel_size is {self.conv_kernel_size}; the class has odd ones only")
        return self


def sizes(config: Config) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings,
        layers=config.num_hidden_layers,
        token_types=config.type_vocab_size,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """(name, shape as PyTorch keeps it) of every tensor; layer by layer, so that the first miss ends it."""
    hidden = config.hidden_size
    yield from embeddings(config)
    if config.relative_attention:
        rows = config.position_buckets if config.position_buckets > 0 else distances(config)
        yield "encoder.rel_embeddings.weight", (2 * rows, hidden)
    if config.norm_rel_ebd == "layer_norm":
        yield from weight_and_bias("encoder.LayerNorm", hidden)
    if config.conv_kernel_size > 0:
        yield from weight_and_bias("encoder.conv.conv", hidden, hidden, config.conv_kernel_size)
        yield from weight_and_bias("encoder.conv.LayerNorm", hidden)
    for name, shape in bert_layers(config):
        yield _of_self_attention(name), shape


def _of_self_attention(name: str) -> str:
    """encoder.layer.0.attention.self.query.bias -> encoder.layer.0.attention.self.query_proj.bias"""
    for part in ("query", "key", "value"):
        name = name.replace(f"attention.self.{part}.", f"attention.self.{part}_proj.")
    return name
