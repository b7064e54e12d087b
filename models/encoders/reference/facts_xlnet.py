"""What XLNet's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import model_validator

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
from models.encoders.reference.unbounded import ANY_LENGTH
from models.files import FromFile

NAME = "XLNet"
TF_CLASS = "TFXLNetForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = "summary_last_dropout"

PREFIX = "transformer."
PARTS = ("mask_emb", "word_embedding.", "layer.")
HEAD = ("sequence_summary.", "logits_proj.")
EMBEDDINGS = ("word_embedding.",)
OLD_NAMES: dict[str, str] = {}
WITHOUT_WEIGHTS = ()
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED | {
    "bi_data": "it pairs the rows of a batch, which are not pairs here",
    "hidden_size": "XLNet's config.json calls it d_model; rename the key",
    "n_token": "XLNet's config.json calls it vocab_size; rename the key",
    "num_attention_heads": "XLNet's config.json calls it n_head; rename the key",
    "num_hidden_layers": "XLNet's config.json calls it n_layer; rename the key",
}
# Among them what is kept for the next segment of a long text, of which there is none.
HARMLESS = any_family.HARMLESS | {
    "d_head",
    "end_n_top",
    "max_position_embeddings",
    "mem_len",
    "reuse_len",
    "same_length",
    "start_n_top",
    "use_mems_eval",
    "use_mems_train",
}


class Config(FromFile):
    """The keys that make the forward pass, with XLNetConfig's names and defaults."""

    vocab_size: Count = 32000
    d_model: Count = 1024
    n_layer: Count = 24
    n_head: Count = 16
    d_inner: Count = 4096
    ff_activation: Activation = "gelu"
    untie_r: Literal[True] = True  # the class in TensorFlow has a bias for each layer, whatever this says
    attn_type: Literal["bi"] = "bi"
    initializer_range: NotNegative = 0.02
    layer_norm_eps: NotNegative = 1e-12
    dropout: Share = 0.1
    clamp_len: int = -1
    summary_type: Literal["last"] = "last"
    summary_use_proj: bool = True
    summary_activation: Activation | None = "tanh"
    summary_last_dropout: Share = 0.1

    @model_validator(mode="after")
    def _whole_heads(self) -> Config:
        check_heads("d_model", self.d_model, "n_head", self.n_head)
        return self


def sizes(config: Config) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=ANY_LENGTH,
        layers=config.n_layer,
        token_types=4,  # those of the texts, of <cls> and of padding; only whether two are equal counts
        pairs_by_type=True,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """(name, shape as PyTorch keeps it) of every tensor; layer by layer, so that the first miss ends it."""
    hidden, heads = config.d_model, (config.n_head, config.d_model // config.n_head)
    yield "mask_emb", (1, 1, hidden)
    yield "word_embedding.weight", (config.vocab_size, hidden)
    for layer in (f"layer.{i}" for i in range(config.n_layer)):
        for part in ("q", "k", "v", "o", "r"):
            yield f"{layer}.rel_attn.{part}", (hidden, *heads)
        for part in ("r_r_bias", "r_s_bias", "r_w_bias"):
            yield f"{layer}.rel_attn.{part}", heads
        yield f"{layer}.rel_attn.seg_embed", (2, *heads)
        yield from weight_and_bias(f"{layer}.rel_attn.layer_norm", hidden)
        yield from weight_and_bias(f"{layer}.ff.layer_1", config.d_inner, hidden)
        yield from weight_and_bias(f"{layer}.ff.layer_2", hidden, config.d_inner)
        yield from weight_and_bias(f"{layer}.ff.layer_norm", hidden)
