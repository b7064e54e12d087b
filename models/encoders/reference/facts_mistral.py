"""What Mistral's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import Field, model_validator

from models import features
from models.encoders import config as any_family
from models.encoders.config import Activation, Count, NamedShape, NotNegative, Share, Sizes, check_heads
from models.encoders.reference import last_token

NAME = "Mistral"
TF_CLASS = "TFMistralForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK)
HEAD_DROPOUT = ""  # the class has none

PREFIX = "model."
PARTS = ("embed_tokens.", "layers.", "norm.")
HEAD = ("score.",)
EMBEDDINGS = ("embed_tokens.",)
OLD_NAMES: dict[str, str] = {}
WITHOUT_WEIGHTS = ("layers.*.self_attn.rotary_emb.inv_freq",)
UNREAD = ()
MISSPELT: dict[str, str] = {}

_PLAIN_ROTATION = "the class in TensorFlow does not read it; give a checkpoint without it"
REFUSED = any_family.REFUSED | {"layer_types": _PLAIN_ROTATION, "rope_scaling": _PLAIN_ROTATION}
HARMLESS = any_family.HARMLESS - {"pad_token_id", "eos_token_id"}


class Config(last_token.Config):
    """The keys that make the forward pass, with MistralConfig's names and defaults."""

    vocab_size: Count = 32000
    hidden_size: Count = 4096
    intermediate_size: Count = 14336
    num_hidden_layers: Count = 32
    num_attention_heads: Count = 32
    num_key_value_heads: Count = 8
    head_dim: Count | None = None
    hidden_act: Activation = "silu"
    max_position_embeddings: Count = 4096 * 32
    initializer_range: NotNegative = 0.02
    rms_norm_eps: NotNegative = 1e-6
    rope_theta: float = Field(10000.0, gt=0.0)
    sliding_window: Count | None = 4096
    attention_dropout: Share = 0.0
    eos_token_id: int = Field(2, ge=0)
    pad_token_id: int = Field(2, ge=0)

    @model_validator(mode="after")
    def _whole_heads(self) -> Config:
        check_heads("hidden_size", self.hidden_size, "num_attention_heads", self.num_attention_heads)
        check_heads(
            "num_attention_heads", self.num_attention_heads, "num_key_value_heads", self.num_key_value_heads
        )
        even = self.hidden_size // self.num_attention_heads
        if self.head_dim not in (None, even):
            raise ValueError(
                f"head_dim {self.head_dim}: the class in TensorFlow has heads that share hidden_size evenly, of {even}"
            )
        return self


def sizes(config: Config) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit.

    The class in TensorFlow has no sliding window, so that rows may not be longer than one.
    """
    return Sizes(
        vocabulary=config.vocab_size,
        positions=min(
            config.max_position_embeddings, config.sliding_window or config.max_position_embeddings
        ),
        layers=config.num_hidden_layers,
        token_types=0,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """(name, shape as PyTorch keeps it) of every tensor; layer by layer, so that the first miss ends it."""
    hidden, inner = config.hidden_size, config.intermediate_size
    keys = config.num_key_value_heads * (hidden // config.num_attention_heads)
    yield "embed_tokens.weight", (config.vocab_size, hidden)
    for layer in (f"layers.{i}" for i in range(config.num_hidden_layers)):
        for part, width in (("q_proj", hidden), ("k_proj", keys), ("v_proj", keys), ("o_proj", hidden)):
            yield f"{layer}.self_attn.{part}.weight", (width, hidden)
        for part in ("gate_proj", "up_proj"):
            yield f"{layer}.mlp.{part}.weight", (inner, hidden)
        yield f"{layer}.mlp.down_proj.weight", (hidden, inner)
        yield f"{layer}.input_layernorm.weight", (hidden,)
        yield f"{layer}.post_attention_layernorm.weight", (hidden,)
    yield "norm.weight", (hidden,)
