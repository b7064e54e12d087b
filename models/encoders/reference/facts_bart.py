"""What BART's config.json and tensors are called, and what they may say. No TensorFlow here."""

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
from models.files import FromFile

NAME = "BART"
TF_CLASS = "TFBartForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK)
HEAD_DROPOUT = "classifier_dropout"

PREFIX = "model."
PARTS = ("shared.", "encoder.", "decoder.")
HEAD = ("classification_head.",)
EMBEDDINGS = (
    "shared.",
    *(
        f"{side}.{part}."
        for side in ("encoder", "decoder")
        for part in ("embed_positions", "layernorm_embedding")
    ),
)
OLD_NAMES: dict[str, str] = {}
# Encoder and decoder read the shared table.
WITHOUT_WEIGHTS = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
UNREAD = ()
MISSPELT: dict[str, str] = {}

_ANOTHER_MODEL = "BART has no such part, so the weights are of another model"
REFUSED = {key: advice for key, advice in any_family.REFUSED.items() if key != "is_encoder_decoder"} | {
    "add_bias_logits": _ANOTHER_MODEL,
    "add_final_layer_norm": _ANOTHER_MODEL,
    "normalize_before": _ANOTHER_MODEL,
    "static_position_embeddings": _ANOTHER_MODEL,
    "hidden_size": "BART's config.json calls it d_model; rename the key",
    "num_attention_heads": "BART's config.json calls it encoder_attention_heads; rename the key",
}
HARMLESS = (any_family.HARMLESS - {"pad_token_id", "eos_token_id", "decoder_start_token_id"}) | {
    "classif_dropout",  # of an older release; transformers reads classifier_dropout
    "extra_pos_embeddings",
    "force_bos_token_to_be_generated",
    "is_encoder_decoder",
    "num_hidden_layers",
    "replacing_rate",
    "student_decoder_layers",
    "student_encoder_layers",
}


class Config(FromFile):
    """The keys that make the forward pass, with BartConfig's names and defaults."""

    vocab_size: Count = 50265
    max_position_embeddings: Count = 1024
    d_model: Count = 1024
    encoder_layers: Count = 12
    encoder_ffn_dim: Count = 4096
    encoder_attention_heads: Count = 16
    # A layer that is left out is chosen when TensorFlow traces the step, once for the whole training.
    encoder_layerdrop: float = Field(0.0, ge=0.0, le=0.0)
    decoder_layers: Count = 12
    decoder_ffn_dim: Count = 4096
    decoder_attention_heads: Count = 16
    decoder_layerdrop: float = Field(0.0, ge=0.0, le=0.0)
    activation_function: Activation = "gelu"
    dropout: Share = 0.1
    attention_dropout: Share = 0.0
    activation_dropout: Share = 0.0
    classifier_dropout: Share = 0.0
    init_std: NotNegative = 0.02
    scale_embedding: bool = False
    normalize_embedding: Literal[True] = True
    pad_token_id: int = Field(1, ge=0)
    eos_token_id: int = Field(2, ge=0)
    decoder_start_token_id: int = Field(2, ge=0)

    @model_validator(mode="after")
    def _whole_heads(self) -> Config:
        for side in ("encoder", "decoder"):
            key = f"{side}_attention_heads"
            check_heads("d_model", self.d_model, key, getattr(self, key))
        return self

    @model_validator(mode="after")
    def _starts_with_the_end(self) -> Config:
        # Training updates the embeddings of tokens that rows have.
        if self.decoder_start_token_id != self.eos_token_id:
            raise ValueError(
                f"decoder_start_token_id {self.decoder_start_token_id} is not eos_token_id {self.eos_token_id}; only a "
                "decoder that starts with the token that ends texts is supported"
            )
        return self


def sizes(config: Config) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings,
        layers=config.encoder_layers + config.decoder_layers,
        token_types=0,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """(name, shape as PyTorch keeps it) of every tensor; layer by layer, so that the first miss ends it."""
    yield "shared.weight", (config.vocab_size, config.d_model)
    for side, attentions in (("encoder", ("self_attn",)), ("decoder", ("self_attn", "encoder_attn"))):
        # BART's positions begin at 2.
        yield f"{side}.embed_positions.weight", (config.max_position_embeddings + 2, config.d_model)
        yield from weight_and_bias(f"{side}.layernorm_embedding", config.d_model)
        for i in range(getattr(config, f"{side}_layers")):
            yield from _layer(
                f"{side}.layers.{i}", attentions, config.d_model, getattr(config, f"{side}_ffn_dim")
            )


def _layer(layer: str, attentions: Collection[str], hidden: int, inner: int) -> Iterator[NamedShape]:
    for attention in attentions:
        for part in ("k_proj", "q_proj", "v_proj", "out_proj"):
            yield from weight_and_bias(f"{layer}.{attention}.{part}", hidden, hidden)
        yield from weight_and_bias(f"{layer}.{attention}_layer_norm", hidden)
    yield from weight_and_bias(f"{layer}.fc1", inner, hidden)
    yield from weight_and_bias(f"{layer}.fc2", hidden, inner)
    yield from weight_and_bias(f"{layer}.final_layer_norm", hidden)
