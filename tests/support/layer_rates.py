"""The share of the learning rate that layer-wise decay gives a variable, by its name in TensorFlow alone."""

from __future__ import annotations

import re

from components.trainer.model import learning_rate_shares

DECAY = 0.5
_LAYER = re.compile(r"(decoder/)?(?:layers?|h|albert_layer_groups)(?:_\._|\.)(\d+)/")
_NAMES_OF_EMBEDDINGS = ("embed", "wte", "wpe", "relative_attention_bias")


def assert_rates_fall_towards_the_embeddings(model: object, layers: int) -> None:
    """`layers`: of the encoder, or of both halves of a model that has a decoder, too."""
    variables = model.trainable_variables  # type: ignore[attr-defined]  # a Keras model
    shares = learning_rate_shares(model, variables, DECAY)
    rates = {v.name: share for v, share in zip(variables, shares, strict=True)}
    assert rates == {name: DECAY ** _distance(name.partition("/")[2], layers) for name in rates}
    assert set(rates.values()) == {DECAY**i for i in range(layers + 2)}


def _distance(name: str, layers: int) -> int:
    """How many steps of decay lie between the head and the variable."""
    layer = _LAYER.search(name)
    if layer is not None:
        return layers - int(layer[2]) - (layers // 2 if layer[1] else 0)
    # DeBERTa-v2's only layer norm outside of a layer is that of its relative positions.
    is_embedding = any(part in name for part in _NAMES_OF_EMBEDDINGS) or "deberta/encoder/LayerNorm" in name
    return layers + 1 if is_embedding else 0
