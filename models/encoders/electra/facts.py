"""ELECTRA's config.json keys and tensors, and their supported values. Imports no TensorFlow."""

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
    weight_and_bias,
)

NAME = "ELECTRA"
TF_CLASS = "TFElectraForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "classifier_dropout"

PREFIX = "electra."
PARTS = ("embeddings.", "embeddings_project.", "encoder.")
EMBEDDINGS = ("embeddings.", "embeddings_project.")
HEAD = ("classifier.",)
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ()
# TFElectraClassificationHead asks for this attribute where there is a classifier_dropout.
MISSPELT = {"classifhidden_dropout_probier_dropout": "classifier_dropout"}

REFUSED = any_family.REFUSED
# The heads of other tasks read the keys of the summary.
HARMLESS = any_family.HARMLESS | {
    "summary_activation",
    "summary_last_dropout",
    "summary_type",
    "summary_use_proj",
}


class Config(LayersConfig):
    """The keys that determine the forward pass, with ElectraConfig's names and defaults."""

    embedding_size: Count = 128
    hidden_size: Count = 256
    num_attention_heads: Count = 4
    intermediate_size: Count = 1024
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
    width = config.embedding_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, width)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, width)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, width)
    yield from weight_and_bias("embeddings.LayerNorm", width)
    if width != config.hidden_size:
        yield from weight_and_bias("embeddings_project", config.hidden_size, width)
    yield from bert_layers(config)
