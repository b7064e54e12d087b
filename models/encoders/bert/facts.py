"""What BERT's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import field_validator, model_validator

from models import features
from models.encoders import config as any_family
from models.encoders.config import ACTIVATIONS, Count, NotNegative, Share, Sizes
from models.files import FromFile

NAME = "BERT"
TF_CLASS = "TFBertForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "classifier_dropout"

PREFIX = "bert."
PARTS = ("embeddings.", "encoder.", "pooler.")
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
# Older PyTorch versions saved these two.
WITHOUT_WEIGHTS = ("embeddings.position_ids", "embeddings.token_type_ids")

REFUSED = any_family.REFUSED
# Multilingual BERT's configs have these, which no code ever read.
HARMLESS = any_family.HARMLESS | {
    "directionality",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
}


class Config(FromFile):
    """The keys that make the forward pass, with BertConfig's names and defaults."""

    vocab_size: Count = 30522
    hidden_size: Count = 768
    num_hidden_layers: Count = 12
    num_attention_heads: Count = 12
    intermediate_size: Count = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: Share = 0.1
    attention_probs_dropout_prob: Share = 0.1
    classifier_dropout: Share | None = None
    max_position_embeddings: Count = 512
    type_vocab_size: Count = 2
    initializer_range: NotNegative = 0.02
    layer_norm_eps: NotNegative = 1e-12
    position_embedding_type: str = "absolute"

    @field_validator("hidden_act")
    @classmethod
    def _known_activation(cls, name: str) -> str:
        if name not in ACTIVATIONS:
            raise ValueError(f"only {', '.join(ACTIVATIONS)} exist in TensorFlow")
        return name

    @field_validator("position_embedding_type")
    @classmethod
    def _absolute(cls, kind: str) -> str:
        if kind != "absolute":
            raise ValueError("only 'absolute' is supported")
        return kind

    @model_validator(mode="after")
    def _whole_heads(self) -> Config:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is no multiple of num_attention_heads {self.num_attention_heads}"
            )
        return self


def sizes(config: Config) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings,
        layers=config.num_hidden_layers,
        token_types=config.type_vocab_size,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape as PyTorch keeps it) of every tensor; layer by layer, so that the first miss ends it."""
    hidden, inner = config.hidden_size, config.intermediate_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, hidden)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, hidden)
    yield from _weight_and_bias("embeddings.LayerNorm", hidden)
    for layer in (f"encoder.layer.{i}" for i in range(config.num_hidden_layers)):
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            yield from _weight_and_bias(f"{layer}.attention.{part}", hidden, hidden)
        yield from _weight_and_bias(f"{layer}.attention.output.LayerNorm", hidden)
        yield from _weight_and_bias(f"{layer}.intermediate.dense", inner, hidden)
        yield from _weight_and_bias(f"{layer}.output.dense", hidden, inner)
        yield from _weight_and_bias(f"{layer}.output.LayerNorm", hidden)
    if any(name.startswith("pooler.") for name in stored):
        yield from _weight_and_bias("pooler.dense", hidden, hidden)


def _weight_and_bias(name: str, *shape: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]
