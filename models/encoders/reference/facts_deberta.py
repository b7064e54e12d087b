"""What DeBERTa's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import Field

from models import features
from models.encoders import config as any_family
from models.encoders.config import Activation, LayersConfig, NamedShape, Share, Sizes, weight_and_bias
from models.encoders.disentangled import PositionTerms, distances, embeddings

NAME = "DeBERTa"
TF_CLASS = "TFDebertaForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "cls_dropout"

PREFIX = "deberta."
PARTS = ("embeddings.", "encoder.")
HEAD = ("pooler.", "classifier.")
EMBEDDINGS = ("embeddings.", "encoder.rel_embeddings.")
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED | {
    "embedding_size": "only embeddings of the size of the hidden states are supported; remove the key if they are",
    "talking_head": "the class in TensorFlow builds these projections without their sizes",
}
HARMLESS = any_family.HARMLESS | {"legacy", "padding_idx", "pooler_hidden_size"}


class Config(LayersConfig):
    """The keys that make the forward pass, with DebertaConfig's names and defaults."""

    vocab_size: int = Field(50265, ge=1)
    type_vocab_size: int = Field(0, ge=0)
    layer_norm_eps: float = Field(1e-7, ge=0.0)
    relative_attention: bool = False
    max_relative_positions: int = -1
    position_biased_input: bool = True
    pos_att_type: PositionTerms = None
    pooler_dropout: Share = 0.0
    pooler_hidden_act: Activation = "gelu"
    cls_dropout: Share | None = None


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
    hidden, inner = config.hidden_size, config.intermediate_size
    yield from embeddings(config)
    if config.relative_attention:
        yield "encoder.rel_embeddings.weight", (2 * distances(config), hidden)
    for layer in (f"encoder.layer.{i}" for i in range(config.num_hidden_layers)):
        yield from _attention(f"{layer}.attention.self", config)
        yield from weight_and_bias(f"{layer}.attention.output.dense", hidden, hidden)
        yield from weight_and_bias(f"{layer}.attention.output.LayerNorm", hidden)
        yield from weight_and_bias(f"{layer}.intermediate.dense", inner, hidden)
        yield from weight_and_bias(f"{layer}.output.dense", hidden, inner)
        yield from weight_and_bias(f"{layer}.output.LayerNorm", hidden)


def _attention(name: str, config: Config) -> Iterator[NamedShape]:
    hidden, terms = config.hidden_size, config.pos_att_type or []
    yield f"{name}.in_proj.weight", (3 * hidden, hidden)
    yield f"{name}.q_bias", (hidden,)
    yield f"{name}.v_bias", (hidden,)
    if config.relative_attention and "c2p" in terms:
        yield f"{name}.pos_proj.weight", (hidden, hidden)
    if config.relative_attention and "p2c" in terms:
        yield from weight_and_bias(f"{name}.pos_q_proj", hidden, hidden)
