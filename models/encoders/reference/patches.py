"""What is changed in the layers of transformers' classes: where their dropout comes from, and what convolutions see.

The layers stay as they are; each that is listed here gets another `call`, which asks for what is `active`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from models.encoders.layers import Dropout


@dataclass(frozen=True)
class _Active:
    """What a forward pass is called with: its dropout, and the attention mask int32 [rows, tokens]."""

    dropout: Dropout
    mask: tf.Tensor


_active: ContextVar[_Active] = ContextVar("active")


@contextmanager
def active(model: Any, dropout: Dropout, mask: tf.Tensor) -> Iterator[None]:
    """Within it the model's layers use `dropout` and `mask`, and nothing of Keras' own random numbers.

    Keras numbers the masks of a process, so that a run that was resumed would draw others; `dropout` depends on a
    seed and on the order of its calls.
    """
    for layer in model.submodules:
        patch = _PATCHES.get((type(layer).__name__, layer.name)) or _PATCHES.get((type(layer).__name__, ""))
        if patch is not None and "call" not in vars(layer):
            layer.call = patch(layer)
    token = _active.set(_Active(dropout, mask))
    try:
        yield
    finally:
        _active.reset(token)


def _seeded(rate_name: str) -> Callable[[Any], Any]:
    """Dropout that follows the seed. `rate_name`: the layer's attribute with its rate."""

    def patch(layer: Any) -> Any:
        rate = getattr(layer, rate_name)

        def call(inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
            return _active.get().dropout(inputs, rate)

        return call

    return patch


def _without_padding(values: tf.Tensor) -> tf.Tensor:
    """[rows, tokens, hidden] with zeros for padding, as a convolution sees past the end of a row that is alone."""
    return values * tf.cast(_active.get().mask, values.dtype)[:, :, None]


def _masked_input(layer: Any) -> Any:
    original = layer.call

    def call(values: tf.Tensor, *others: Any, **named: Any) -> tf.Tensor:
        return original(_without_padding(values), *others, **named)

    return call


def _masked_output(layer: Any) -> Any:
    original = layer.call

    def call(values: tf.Tensor) -> tf.Tensor:
        return _without_padding(original(values))

    return call


# (class, name or "" for any) of a layer -> what makes its `call`.
_PATCHES: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("Dropout", ""): _seeded("rate"),
    ("TFDebertaStableDropout", ""): _seeded("drop_prob"),
    ("TFDebertaV2StableDropout", ""): _seeded("drop_prob"),
    ("TFDebertaV2ConvLayer", ""): _masked_input,
    ("SeparableConv1D", "key_conv_attn_layer"): _masked_input,
    ("Dense", "conv_out_layer"): _masked_output,
}
