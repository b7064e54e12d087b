"""What RemBERT's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import Field

from models import features
from models.encoders import config as any_family
from models.encoders.config import (
    Count,
    LayersConfig,
    NamedShape,
    Share,
    Sizes,
    bert_layers,
    has_part,
    weight_and_bias,
)

NAME = "RemBERT"
TF_CLASS = "TFRemBertForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "classifier_dropout_prob"

PREFIX = "rembert."
PARTS = ("embeddings.", "encoder.", "pooler.")
HEAD = ("classifier.",)
EMBEDDINGS = ("embeddings.", "encoder.embedding_hidden_mapping_in.")
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED
HARMLESS = any_family.HARMLESS | {"output_embedding_size"}


class Config(LayersConfig):
    """The keys that make the forward pass, with RemBertConfig's names and defaults."""

    vocab_size: int = Field(250300, ge=1)
    hidden_size: int = Field(1152, ge=1)
    num_hidden_layers: int = Field(32, ge=1)
    num_attention_heads: int = Field(18, ge=1)
    input_embedding_size: Count = 256
    intermediate_size: int = Field(4608, ge=1)
    hidden_dropout_prob: Share = 0.0
    attention_probs_dropout_prob: Share = 0.0
    classifier_dropout_prob: Share = 0.1
    type_vocab_size: Count = 2


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
    embedded, hidden = config.input_embedding_size, config.hidden_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, embedded)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, embedded)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, embedded)
    yield from weight_and_bias("embeddings.LayerNorm", embedded)
    yield from weight_and_bias("encoder.embedding_hidden_mapping_in", hidden, embedded)
    yield from bert_layers(config)
    if has_part(stored, "pooler."):
        yield from weight_and_bias("pooler.dense", hidden, hidden)
