"""What GPT-J's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator

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

NAME = "GPT-J"
TF_CLASS = "TFGPTJForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK)
HEAD_DROPOUT = ""  # the class has none

PREFIX = "transformer."
PARTS = ("wte.", "h.", "ln_f.")
HEAD = ("score.",)
EMBEDDINGS = ("wte.",)
OLD_NAMES: dict[str, str] = {}
WITHOUT_WEIGHTS = gpt.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED | gpt.other_names("GPT-J")
HARMLESS = (
    (any_family.HARMLESS - {"pad_token_id", "eos_token_id"}) | gpt.HARMLESS | {"rotary", "scale_attn_weights"}
)


class Config(last_token.Config):
    """The keys that make the forward pass, with GPTJConfig's names and defaults."""

    vocab_size: Count = 50400
    n_positions: Count = 2048
    n_embd: Count = 4096
    n_layer: Count = 28
    n_head: Count = 16
    rotary_dim: Count | None = 64
    n_inner: Count | None = None
    activation_function: Activation = "gelu_new"
    resid_pdrop: Share = 0.0
    embd_pdrop: Share = 0.0
    attn_pdrop: Share = 0.0
    layer_norm_epsilon: NotNegative = 1e-5
    initializer_range: NotNegative = 0.02
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
    for layer in (f"h.{i}" for i in range(config.n_layer)):
        yield from weight_and_bias(f"{layer}.ln_1", hidden)
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield f"{layer}.attn.{part}.weight", (hidden, hidden)
        yield from weight_and_bias(f"{layer}.mlp.fc_in", inner, hidden)
        yield from weight_and_bias(f"{layer}.mlp.fc_out", hidden, inner)
    yield from weight_and_bias("ln_f", hidden)
