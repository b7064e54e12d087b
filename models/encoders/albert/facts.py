"""ALBERT's config.json keys and tensors, and their supported values. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import model_validator

from models import features
from models.encoders import config as any_family
from models.encoders.config import (
    AbsolutePositions,
    Activation,
    Count,
    LayersConfig,
    NamedShape,
    Share,
    Sizes,
    has_part,
    weight_and_bias,
)

NAME = "ALBERT"
TF_CLASS = "TFAlbertForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "classifier_dropout_prob"

PREFIX = "albert."
PARTS = ("embeddings.", "encoder.", "pooler.")
EMBEDDINGS = ("embeddings.", "encoder.embedding_hidden_mapping_in.")
HEAD = ("classifier.",)
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED
# Keys of the first checkpoints, which transformers has never read.
HARMLESS = any_family.HARMLESS | {
    "down_scale_factor",
    "gap_size",
    "layers_to_keep",
    "net_structure_type",
    "num_memory_blocks",
}


class Config(LayersConfig):
    """The keys that determine the forward pass, with AlbertConfig's names and defaults."""

    vocab_size: Count = 30000
    embedding_size: Count = 128
    hidden_size: Count = 4096
    num_hidden_groups: Count = 1
    num_attention_heads: Count = 64
    intermediate_size: Count = 16384
    inner_group_num: Count = 1
    hidden_act: Activation = "gelu_new"
    hidden_dropout_prob: Share = 0.0
    attention_probs_dropout_prob: Share = 0.0
    classifier_dropout_prob: Share = 0.1
    type_vocab_size: Count = 2
    position_embedding_type: AbsolutePositions = "absolute"

    @model_validator(mode="after")
    def _layers_for_every_group(self) -> Config:
        each = self.num_hidden_layers // self.num_hidden_groups
        if each < self.inner_group_num:
            raise ValueError(
                f"num_hidden_layers {self.num_hidden_layers} is less than num_hidden_groups {self.num_hidden_groups} "
                f"times inner_group_num {self.inner_group_num}, which transformers cannot run"
            )
        return self


def sizes(config: Config) -> Sizes:
    """The sizes that tokenizer, settings and frozen layers have to match."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings,
        layers=config.num_hidden_groups,
        token_types=config.type_vocab_size,
        sharing=config.num_hidden_layers // config.num_hidden_groups,
        pairs_by_type=config.type_vocab_size > 1,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """Yields (name, shape in PyTorch) of every tensor, group by group, so that a check can stop at the first missing one."""
    width, hidden, inner = config.embedding_size, config.hidden_size, config.intermediate_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, width)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, width)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, width)
    yield from weight_and_bias("embeddings.LayerNorm", width)
    yield from weight_and_bias("encoder.embedding_hidden_mapping_in", hidden, width)
    for group in range(config.num_hidden_groups):
        for number in range(config.inner_group_num):
            layer = f"encoder.albert_layer_groups.{group}.albert_layers.{number}"
            for part in ("query", "key", "value", "dense"):
                yield from weight_and_bias(f"{layer}.attention.{part}", hidden, hidden)
            yield from weight_and_bias(f"{layer}.attention.LayerNorm", hidden)
            yield from weight_and_bias(f"{layer}.ffn", inner, hidden)
            yield from weight_and_bias(f"{layer}.ffn_output", hidden, inner)
            yield from weight_and_bias(f"{layer}.full_layer_layer_norm", hidden)
    if has_part(stored, "pooler."):
        yield from weight_and_bias("pooler", hidden, hidden)
