"""DistilBERT's config.json keys and tensors, and their supported values. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Iterator

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
from models.files import FromFile

NAME = "DistilBERT"
TF_CLASS = "TFDistilBertForSequenceClassification"
INPUTS = (features.INPUT_IDS, features.ATTENTION_MASK)
HEAD_DROPOUT = "seq_classif_dropout"

PREFIX = "distilbert."
PARTS = ("embeddings.", "transformer.")
HEAD = ("pre_classifier.", "classifier.")
OLD_NAMES = any_family.OLD_NAMES
WITHOUT_WEIGHTS = any_family.BUFFERS
UNREAD = ()
MISSPELT: dict[str, str] = {}

# transformers accepts these three as other names of the keys that it writes.
REFUSED = any_family.REFUSED | {
    "hidden_size": "DistilBERT's config.json calls it dim; rename the key",
    "num_attention_heads": "DistilBERT's config.json calls it n_heads; rename the key",
    "num_hidden_layers": "DistilBERT's config.json calls it n_layers; rename the key",
}
# `sinusoidal_pos_embds` sets initial values for pretraining, which the checkpoint's values replace.
HARMLESS = any_family.HARMLESS | {"qa_dropout", "sinusoidal_pos_embds", "tie_weights_"}


class Config(FromFile):
    """The keys that determine the forward pass, with DistilBertConfig's names and defaults."""

    vocab_size: Count = 30522
    dim: Count = 768
    n_layers: Count = 6
    n_heads: Count = 12
    hidden_dim: Count = 3072
    activation: Activation = "gelu"
    dropout: Share = 0.1
    attention_dropout: Share = 0.1
    seq_classif_dropout: Share = 0.2
    max_position_embeddings: Count = 512
    initializer_range: NotNegative = 0.02

    @model_validator(mode="after")
    def _whole_heads(self) -> Config:
        check_heads("dim", self.dim, "n_heads", self.n_heads)
        return self


def sizes(config: Config) -> Sizes:
    """The sizes that tokenizer, settings and frozen layers have to match."""
    return Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings,
        layers=config.n_layers,
        token_types=0,
    )


def tensors(config: Config, stored: Collection[str]) -> Iterator[NamedShape]:
    """Yields (name, shape in PyTorch) of every tensor, layer by layer, so that a check can stop at the first missing one."""
    width, inner = config.dim, config.hidden_dim
    yield "embeddings.word_embeddings.weight", (config.vocab_size, width)
    yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, width)
    yield from weight_and_bias("embeddings.LayerNorm", width)
    for layer in (f"transformer.layer.{i}" for i in range(config.n_layers)):
        for part in ("q_lin", "k_lin", "v_lin", "out_lin"):
            yield from weight_and_bias(f"{layer}.attention.{part}", width, width)
        yield from weight_and_bias(f"{layer}.sa_layer_norm", width)
        yield from weight_and_bias(f"{layer}.ffn.lin1", inner, width)
        yield from weight_and_bias(f"{layer}.ffn.lin2", width, inner)
        yield from weight_and_bias(f"{layer}.output_layer_norm", width)
