"""RoBERTa's config.json keys and tensors, and their supported values. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import field_validator

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
    bert_layers,
    weight_and_bias,
)

NAME = "RoBERTa"
TF_CLASS = "TFRobertaForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "classifier_dropout"

PREFIX = "roberta."
PARTS = ("embeddings.", "encoder.", "pooler.")
HEAD = ("classifier.",)
OLD_NAMES = any_family.OLD_NAMES
# The head has its own layer instead of the pooler that pretrained checkpoints have.
WITHOUT_WEIGHTS = (*any_family.BUFFERS, "pooler.dense.weight", "pooler.dense.bias")
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED
HARMLESS = any_family.HARMLESS


class Config(LayersConfig):
    """The keys that determine the forward pass, with RobertaConfig's names and defaults."""

    vocab_size: Count = 50265
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
                "positions are counted from it, and transformers' class in TensorFlow takes it to be 1; "
                "only 1 is supported"
            )
        return value


def sizes(config: Config) -> Sizes:
    """The sizes that tokenizer, settings and frozen layers have to match."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings - PADDING - 1,
        layers=config.num_hidden_layers,
        token_types=config.type_vocab_size,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """Yields (name, shape in PyTorch) of every tensor, layer by layer, so that a check can stop at the first missing one."""
    hidden = config.hidden_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, hidden)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, hidden)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)
    yield from weight_and_bias("embeddings.LayerNorm", hidden)
    yield from bert_layers(config)
