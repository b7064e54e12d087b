"""What RoBERTa-PreLayerNorm's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import Field, field_validator

from models import features
from models.encoders import config as any_family
from models.encoders.config import (
    PADDING,
    AbsolutePositions,
    Count,
    FairseqPositions,
    LayersConfig,
    NamedShape,
    Share,
    Sizes,
    weight_and_bias,
)

NAME = "RoBERTa-PreLayerNorm"
TF_CLASS = "TFRobertaPreLayerNormForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "classifier_dropout"

PREFIX = "roberta_prelayernorm."
PARTS = ("embeddings.", "encoder.", "LayerNorm.", "pooler.")
HEAD = ("classifier.",)
EMBEDDINGS = ("embeddings.",)
OLD_NAMES = any_family.OLD_NAMES
# The head has a layer of its own in place of the pooler that pretrained checkpoints have.
WITHOUT_WEIGHTS = (*any_family.BUFFERS, "pooler.dense.weight", "pooler.dense.bias")
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED
HARMLESS = any_family.HARMLESS - {"pad_token_id"}


class Config(LayersConfig):
    """The keys that make the forward pass, with RobertaPreLayerNormConfig's names and defaults."""

    vocab_size: int = Field(50265, ge=1)
    max_position_embeddings: FairseqPositions = 512
    classifier_dropout: Share | None = None
    type_vocab_size: Count = 2
    position_embedding_type: AbsolutePositions = "absolute"
    pad_token_id: int = PADDING

    @field_validator("pad_token_id")
    @classmethod
    def _padding(cls, value: int) -> int:
        if value != PADDING:
            raise ValueError(
                f"positions are counted from it, and the class in TensorFlow takes it to be {PADDING}"
            )
        return value


def sizes(config: Config) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings - PADDING - 1,
        layers=config.num_hidden_layers,
        token_types=config.type_vocab_size,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """(name, shape as PyTorch keeps it) of every tensor; layer by layer, so that the first miss ends it."""
    hidden, inner = config.hidden_size, config.intermediate_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, hidden)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, hidden)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)
    yield from weight_and_bias("embeddings.LayerNorm", hidden)
    for layer in (f"encoder.layer.{i}" for i in range(config.num_hidden_layers)):
        yield from weight_and_bias(f"{layer}.attention.LayerNorm", hidden)
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            yield from weight_and_bias(f"{layer}.attention.{part}", hidden, hidden)
        yield from weight_and_bias(f"{layer}.intermediate.LayerNorm", hidden)
        yield from weight_and_bias(f"{layer}.intermediate.dense", inner, hidden)
        yield from weight_and_bias(f"{layer}.output.dense", hidden, inner)
    yield from weight_and_bias("LayerNorm", hidden)
