"""What the GPTs have in common: decoders whose last token is read. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from models.encoders.config import NamedShape, Sizes, weight_and_bias

# The causal mask, which older releases saved, and rotary positions.
BUFFERS = ("h.*.attn.bias", "h.*.attn.masked_bias", "h.*.attn.embed_positions", "position_ids")
# Of the head with two outputs, which is another class.
HARMLESS = frozenset(
    [
        "n_ctx",
        "predict_special_tokens",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
    ]
)


def other_names(name: str) -> dict[str, str]:
    """Keys that transformers takes for another spelling of its own -> what to do."""
    names = {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }
    return {other: f"{name}'s config.json calls it {own}; rename the key" for other, own in names.items()}


def sizes(config: Any) -> Sizes:
    """What the tokenizer, the config and the freezing of layers have to fit."""
    return Sizes(
        vocabulary=config.vocab_size, positions=config.n_positions, layers=config.n_layer, token_types=0
    )


def layer(name: str, hidden: int, inner: int) -> Iterator[NamedShape]:
    """The tensors of a layer of GPT and GPT-2, whose matrices PyTorch keeps as [inputs, outputs]."""
    for part, inputs, outputs in (
        ("attn.c_attn", hidden, 3 * hidden),
        ("attn.c_proj", hidden, hidden),
        ("mlp.c_fc", hidden, inner),
        ("mlp.c_proj", inner, hidden),
    ):
        yield f"{name}.{part}.weight", (inputs, outputs)
        yield f"{name}.{part}.bias", (outputs,)
    yield from weight_and_bias(f"{name}.ln_1", hidden)
    yield from weight_and_bias(f"{name}.ln_2", hidden)
