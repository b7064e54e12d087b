"""What OpenAI GPT's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field, model_validator

from models import features
from models.encoders import config as any_family
from models.encoders.config import Count, NamedShape, NotNegative, Share, Sizes, check_heads
from models.encoders.reference import gpt, last_token

NAME = "OpenAI GPT"
TF_CLASS = "TFOpenAIGPTForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK)
HEAD_DROPOUT = ""  # the class has none

PREFIX = "transformer."
PARTS = ("tokens_embed.", "positions_embed.", "h.")
HEAD = ("score.",)
EMBEDDINGS = ("tokens_embed.", "positions_embed.")
OLD_NAMES: dict[str, str] = {}
WITHOUT_WEIGHTS = gpt.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED | gpt.other_names("OpenAI GPT")
HARMLESS = (any_family.HARMLESS - {"pad_token_id", "eos_token_id"}) | gpt.HARMLESS | {"n_special"}


class Config(last_token.Config):
    """The keys that make the forward pass, with OpenAIGPTConfig's names and defaults."""

    vocab_size: Count = 40478
    n_positions: Count = 512
    n_embd: Count = 768
    n_layer: Count = 12
    n_head: Count = 12
    afn: Literal["gelu"] = "gelu"  # the class in TensorFlow has no other
    resid_pdrop: Share = 0.1
    embd_pdrop: Share = 0.1
    attn_pdrop: Share = 0.1
    layer_norm_epsilon: NotNegative = 1e-5
    initializer_range: NotNegative = 0.02
    eos_token_id: int | None = Field(None, ge=0)
    pad_token_id: int = Field(ge=0)

    @model_validator(mode="after")
    def _whole_heads(self) -> Config:
        check_heads("n_embd", self.n_embd, "n_head", self.n_head)
        return self


def sizes(config: Config) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit."""
    return gpt.sizes(config)


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """(name, shape as PyTorch keeps it) of every tensor; layer by layer, so that the first miss ends it."""
    yield "tokens_embed.weight", (config.vocab_size, config.n_embd)
    yield "positions_embed.weight", (config.n_positions, config.n_embd)
    for i in range(config.n_layer):
        yield from gpt.layer(f"h.{i}", config.n_embd, 4 * config.n_embd)
