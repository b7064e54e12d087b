"""What GPT-2's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field, model_validator

from models import features
from models.encoders import config as any_family
from models.encoders.config import (
    Activation,
    Count,
    NamedShape,
    NotNegative,
    Share,
    Sizes,
    check_heads,
    weight_and_bias,
)
from models.encoders.reference import gpt, last_token

NAME = "GPT-2"
TF_CLASS = "TFGPT2ForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK)
HEAD_DROPOUT = ""  # the class has none

PREFIX = "transformer."
PARTS = ("wte.", "wpe.", "h.", "ln_f.")
HEAD = ("score.",)
EMBEDDINGS = ("wte.", "wpe.")
OLD_NAMES: dict[str, str] = {}
WITHOUT_WEIGHTS = gpt.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED | gpt.other_names("GPT-2")
HARMLESS = (
    (any_family.HARMLESS - {"pad_token_id", "eos_token_id"}) | gpt.HARMLESS | {"reorder_and_upcast_attn"}
)


class Config(last_token.Config):
    """The keys that make the forward pass, with GPT2Config's names and defaults."""

    vocab_size: Count = 50257
    n_positions: Count = 1024
    n_embd: Count = 768
    n_layer: Count = 12
    n_head: Count = 12
    n_inner: Count | None = None
    activation_function: Activation = "gelu_new"
    resid_pdrop: Share = 0.1
    embd_pdrop: Share = 0.1
    attn_pdrop: Share = 0.1
    layer_norm_epsilon: NotNegative = 1e-5
    initializer_range: NotNegative = 0.02
    # The class in TensorFlow scales by the root of the head's size, whatever these say.
    scale_attn_weights: Literal[True] = True
    scale_attn_by_inverse_layer_idx: Literal[False] = False
    eos_token_id: int = Field(50256, ge=0)
    pad_token_id: int = Field(50256, ge=0)

    @model_validator(mode="after")
    def _whole_heads(self) -> Config:
        check_heads("n_embd", self.n_embd, "n_head", self.n_head)
        return self


def sizes(config: Config) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit."""
    return gpt.sizes(config)


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """(name, shape as PyTorch keeps it) of every tensor; layer by layer, so that the first miss ends it."""
    hidden, inner = config.n_embd, config.n_inner or 4 * config.n_embd
    yield "wte.weight", (config.vocab_size, hidden)
    yield "wpe.weight", (config.n_positions, hidden)
    for i in range(config.n_layer):
        yield from gpt.layer(f"h.{i}", hidden, inner)
    yield from weight_and_bias("ln_f", hidden)
