"""What LayoutLM's config.json and tensors are called, and what they may say. No TensorFlow here.

Texts have no layout: every token is at the box (0, 0, 0, 0), as transformers' class has it without boxes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from models import features
from models.encoders import config as any_family
from models.encoders.config import (
    Count,
    LayersConfig,
    NamedShape,
    Sizes,
    bert_layers,
    has_part,
    weight_and_bias,
)

NAME = "LayoutLM"
TF_CLASS = "TFLayoutLMForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = ""  # the class has the encoder's hidden_dropout_prob there

PREFIX = "layoutlm."
PARTS = ("embeddings.", "encoder.", "pooler.")
HEAD = ("classifier.",)
EMBEDDINGS = ("embeddings.",)
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED
HARMLESS = any_family.HARMLESS | {"output_past", "type_sequence_label_size"}


class Config(LayersConfig):
    """The keys that make the forward pass, with LayoutLMConfig's names and defaults."""

    type_vocab_size: Count = 2
    max_2d_position_embeddings: Count = 1024


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
    hidden = config.hidden_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, hidden)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)
    for axis in ("x", "y", "h", "w"):
        yield f"embeddings.{axis}_position_embeddings.weight", (config.max_2d_position_embeddings, hidden)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, hidden)
    yield from weight_and_bias("embeddings.LayerNorm", hidden)
    yield from bert_layers(config)
    if has_part(stored, "pooler."):
        yield from weight_and_bias("pooler.dense", hidden, hidden)
