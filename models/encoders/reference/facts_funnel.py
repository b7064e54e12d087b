"""What the Funnel Transformer's config.json and tensors are called, and what they may say. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field, model_validator

from models import features
from models.encoders import config as any_family
from models.encoders.config import Activation, Count, NamedShape, NotNegative, Share, Sizes, weight_and_bias
from models.encoders.reference.unbounded import ANY_LENGTH
from models.files import FromFile

NAME = "Funnel"
TF_CLASS = "TFFunnelForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK, features.TOKEN_TYPE_IDS)
HEAD_DROPOUT = ""  # the class has the encoder's hidden_dropout there

PREFIX = "funnel."
PARTS = ("embeddings.", "encoder.", "decoder.")
HEAD = ("classifier.",)
EMBEDDINGS = ("embeddings.",)
OLD_NAMES: dict[str, str] = {}
WITHOUT_WEIGHTS = (
    "decoder.*",
)  # that stretches the hidden states again, which the head for sequences does not ask
UNREAD = ()
MISSPELT: dict[str, str] = {}

REFUSED = any_family.REFUSED | {
    "hidden_size": "Funnel's config.json calls it d_model; rename the key",
    "num_attention_heads": "Funnel's config.json calls it n_head; rename the key",
    "num_hidden_layers": "Funnel's config.json has block_sizes for it; remove the key",
}
HARMLESS = any_family.HARMLESS | {
    "max_position_embeddings",
    "num_decoder_layers",
    "type_vocab_size",
}


class Config(FromFile):
    """The keys that make the forward pass, with FunnelConfig's names and defaults."""

    vocab_size: Count = 30522
    block_sizes: list[Count] = Field(default_factory=lambda: [4, 4, 4], min_length=1)
    block_repeats: list[Count] | None = None
    d_model: Count = 768
    n_head: Count = 12
    d_head: Count = 64
    d_inner: Count = 3072
    hidden_act: Activation = "gelu_new"
    hidden_dropout: Share = 0.1
    attention_dropout: Share = 0.1
    activation_dropout: Share = 0.0
    initializer_range: NotNegative = 0.1
    initializer_std: NotNegative | None = None
    layer_norm_eps: NotNegative = 1e-9
    pooling_type: Literal["mean", "max"] = "mean"
    attention_type: Literal["relative_shift", "factorized"] = "relative_shift"
    separate_cls: Literal[True] = (
        True  # pooled with its neighbours, [CLS] would depend on the padding of the batch
    )
    truncate_seq: bool = True
    pool_q_only: bool = True

    @model_validator(mode="after")
    def _repeats_for_each_block(self) -> Config:
        if self.block_repeats is not None and len(self.block_repeats) != len(self.block_sizes):
            raise ValueError(
                f"block_repeats {self.block_repeats} and block_sizes {self.block_sizes} must be of one length"
            )
        return self


def sizes(config: Config) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=ANY_LENGTH,
        layers=sum(config.block_sizes),
        token_types=3,  # the third is that of [CLS]
        pairs_by_type=True,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """(name, shape as PyTorch keeps it) of every tensor; layer by layer, so that the first miss ends it."""
    yield "embeddings.word_embeddings.weight", (config.vocab_size, config.d_model)
    yield from weight_and_bias("embeddings.layer_norm", config.d_model)
    for block, layers in enumerate(config.block_sizes):
        for i in range(layers):
            yield from _layer(f"encoder.blocks.{block}.{i}", config)


def _layer(layer: str, config: Config) -> Iterator[NamedShape]:
    hidden, heads = config.d_model, (config.n_head, config.d_head)
    width = config.n_head * config.d_head
    for bias in ("r_w_bias", "r_r_bias", "r_s_bias"):
        yield f"{layer}.attention.{bias}", heads
    yield f"{layer}.attention.r_kernel", (hidden, *heads)
    yield f"{layer}.attention.seg_embed", (2, *heads)
    yield f"{layer}.attention.q_head.weight", (width, hidden)
    for part in ("k_head", "v_head"):
        yield from weight_and_bias(f"{layer}.attention.{part}", width, hidden)
    yield from weight_and_bias(f"{layer}.attention.post_proj", hidden, width)
    yield from weight_and_bias(f"{layer}.attention.layer_norm", hidden)
    yield from weight_and_bias(f"{layer}.ffn.linear_1", config.d_inner, hidden)
    yield from weight_and_bias(f"{layer}.ffn.linear_2", hidden, config.d_inner)
    yield from weight_and_bias(f"{layer}.ffn.layer_norm", hidden)
