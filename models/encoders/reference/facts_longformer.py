"""What Longformer's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import field_validator, model_validator

from models import features
from models.encoders import config as any_family
from models.encoders.config import (
    PADDING,
    Count,
    FairseqPositions,
    LayersConfig,
    NamedShape,
    Sizes,
    bert_layers,
    weight_and_bias,
)

NAME = "Longformer"
TF_CLASS = "TFLongformerForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = ""  # the class has the encoder's hidden_dropout_prob there

PREFIX = "longformer."
PARTS = ("embeddings.", "encoder.", "pooler.")
HEAD = ("classifier.",)
EMBEDDINGS = ("embeddings.",)
OLD_NAMES = any_family.OLD_NAMES
# The head has a layer of its own in place of the pooler that pretrained checkpoints have.
WITHOUT_WEIGHTS = (*any_family.BUFFERS, "pooler.dense.weight", "pooler.dense.bias")
UNREAD = ()
# Without tokens that see all others, as the first one does for a classifier.
UNREAD_FOR_TOKENS = ("query_global", "key_global", "value_global")
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED
HARMLESS = (any_family.HARMLESS - {"pad_token_id"}) | {
    "attention_mode",
    "ignore_attention_mask",
    "onnx_export",
}


class Config(LayersConfig):
    """The keys that make the forward pass, with LongformerConfig's names and defaults."""

    attention_window: Count | list[Count] = 512
    max_position_embeddings: FairseqPositions = 512
    type_vocab_size: Count = 2
    pad_token_id: int = PADDING

    @field_validator("attention_window")
    @classmethod
    def _even(cls, window: int | list[int]) -> int | list[int]:
        if any(size % 2 for size in ([window] if isinstance(window, int) else window)):
            raise ValueError(
                "a window is as wide to the left as to the right: only even numbers are supported"
            )
        return window

    @field_validator("pad_token_id")
    @classmethod
    def _padding(cls, value: int) -> int:
        if value != PADDING:
            raise ValueError(
                f"positions are counted from it, and the class in TensorFlow takes it to be {PADDING}"
            )
        return value

    @model_validator(mode="after")
    def _window_for_each_layer(self) -> Config:
        window, layers = self.attention_window, self.num_hidden_layers
        if isinstance(window, list) and len(window) != layers:
            raise ValueError(f"attention_window has {len(window)} numbers for {layers} layers")
        return self


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
    hidden = config.hidden_size
    yield "embeddings.word_embeddings.weight", (config.vocab_size, hidden)
    yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, hidden)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden)
    yield from weight_and_bias("embeddings.LayerNorm", hidden)
    yield from bert_layers(config)
    for i in range(config.num_hidden_layers):
        for part in ("query", "key", "value"):
            yield from weight_and_bias(f"encoder.layer.{i}.attention.self.{part}_global", hidden, hidden)
