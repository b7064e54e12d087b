"""BERT's config.json keys and tensors, and their supported values. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from models import features
from models.encoders import config as any_family
from models.encoders.config import (
    AbsolutePositions,
    Count,
    LayersConfig,
    NamedShape,
    Share,
    Sizes,
    bert_layers,
    has_part,
    weight_and_bias,
)

NAME = "BERT"
TF_CLASS = "TFBertForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "classifier_dropout"

PREFIX = "bert."
PARTS = ("embeddings.", "encoder.", "pooler.")
HEAD = ("classifier.",)
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED
# Keys of multilingual BERT's configs, which no code has ever read.
HARMLESS = any_family.HARMLESS | {
    "directionality",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
}


class Config(LayersConfig):
    """The keys that determine the forward pass, with BertConfig's names and defaults."""

    classifier_dropout: Share | None = None
    type_vocab_size: Count = 2
    position_embedding_type: AbsolutePositions = "absolute"


def sizes(config: Config) -> Sizes:
    """The sizes that tokenizer, settings and frozen layers have to match."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings,
        layers=config.num_hidden_layers,
        token_types=config.type_vocab_size,
        pairs_by_type=config.type_vocab_size > 1,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """Yields (name, shape in PyTorch) of every tensor, layer by layer, so that a check can stop at the first missing one."""
    hidden = config.hidden_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, hidden)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, hidden)
    yield from weight_and_bias("embeddings.LayerNorm", hidden)
    yield from bert_layers(config)
    if has_part(stored, "pooler."):
        yield from weight_and_bias("pooler.dense", hidden, hidden)
