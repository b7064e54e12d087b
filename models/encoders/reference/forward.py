"""The forward pass as transformers has it: the TF class of a model, called as it is.

Families without a forward pass of their own are trained by it, and those that have one must equal it. What differs
from a plain call is what training has to hold: padding has the checkpoint's id, and dropout follows its seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from transformers.modeling_tf_pytorch_utils import convert_tf_weight_name_to_pt_weight_name

from models import features
from models.encoders.families import FAMILIES, Facts
from models.encoders.layers import Dropout

# transformers' layers that draw masks -> the attribute with their rate.
_RATES = {"Dropout": "rate", "TFDebertaStableDropout": "drop_prob", "TFDebertaV2StableDropout": "drop_prob"}
_NO_DROPOUT = Dropout()
_dropout: ContextVar[Dropout] = ContextVar("dropout", default=_NO_DROPOUT)

# The name of a layer's tensor up to its number: "encoder.layer.3." of "encoder.layer.3.output.dense.weight".
_LAYER = re.compile(r"(?:\w+\.)+?\d+\.(?:\d+\.)*")


def classify(
    model: Any,
    inputs: Mapping[str, tf.Tensor],
    dropout_seed: tf.Tensor | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Token ids -> logits.

    Args:
        model: an instance of the family's TF class.
        inputs: input_ids, attention_mask int32 [rows, tokens], padded on the right with any id, and optionally the
            other inputs of the family.
        dropout_seed: int64 [2] when training; None means no dropout.
        dtype: float32; the classes have no other.

    Returns:
        float32 [rows, classes].
    """
    if dtype != tf.float32:
        raise ValueError(f"the classes of transformers compute in float32, not {dtype.name}")
    taken = _facts(model).INPUTS
    given = {name: inputs[name] for name in taken if name in inputs}
    given[features.INPUT_IDS] = _with_padding_id(given, model.config.pad_token_id)
    with _seeded_dropout(model, dropout_seed):
        return model(**given, return_dict=True, training=dropout_seed is not None).logits


@tf.autograph.experimental.do_not_convert
def _facts(model: Any) -> Facts:
    return FAMILIES[model.config.model_type].facts()


def _with_padding_id(inputs: Mapping[str, tf.Tensor], pad_id: int | None) -> tf.Tensor:
    """The ids as transformers' tokenizer pads them: some classes find positions and the last token by that id."""
    ids = inputs[features.INPUT_IDS]
    return ids if pad_id is None else tf.where(inputs[features.ATTENTION_MASK] > 0, ids, pad_id)


# --- dropout ------------------------------------------------------------------------------------------


@contextmanager
def _seeded_dropout(model: Any, seed: tf.Tensor | None) -> Iterator[None]:
    """Within it, the model's dropout layers draw masks that depend on `seed` and on their order only.

    Keras would number the masks of a process, so that a run that was resumed would draw others.
    """
    for layer in model.submodules:
        if type(layer).__name__ in _RATES and "call" not in vars(layer):
            layer.call = _stateless_call(getattr(layer, _RATES[type(layer).__name__]))
    token = _dropout.set(Dropout(seed))
    try:
        yield
    finally:
        _dropout.reset(token)


def _stateless_call(rate: float) -> Any:
    def call(inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        """Keras passes `training`; what counts is the seed."""
        return _dropout.get()(inputs, rate)

    return call


# --- what training asks -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Part of a model, for `train.freeze`."""

    variables: list[Any]

    @property
    def trainable_variables(self) -> list[Any]:
        """As of a Keras layer."""
        return [variable for variable in self.variables if variable.trainable]


def embeddings(model: Any) -> Part:
    """All tables of embeddings, with their layer norms."""
    prefixes = tuple(getattr(_facts(model), "EMBEDDINGS", ("embeddings.",)))
    return Part([v for name, v in _named_variables(model) if name.startswith(prefixes)])


def layers(model: Any) -> Sequence[Part]:
    """The layers from the embeddings on; those of a decoder follow those of its encoder."""
    parts: dict[str, Part] = {}
    for name, variable in _named_variables(model):
        layer = _LAYER.match(name)
        if layer is not None:
            parts.setdefault(layer[0], Part([])).variables.append(variable)
    return list(parts.values())


def _named_variables(model: Any) -> Iterator[tuple[str, Any]]:
    """(PyTorch's name without the prefix, variable) of the encoder's variables."""
    prefix = _facts(model).PREFIX
    for variable in model.variables:
        name, _ = convert_tf_weight_name_to_pt_weight_name(variable.name, tf_weight_shape=variable.shape)
        if name.startswith(prefix):
            yield name.removeprefix(prefix), variable


def is_decayed(variable: tf.Variable) -> bool:
    """Biases and layer norms are not decayed.

    Norms are the only other vectors. Some classes keep biases as matrices, as GPT-2's `c_attn/bias` [1, outputs].
    """
    *path, name = variable.name.removesuffix(":0").split("/")
    # MPNet's table of biases by distance is a bias, whatever Keras calls it.
    return variable.shape.rank > 1 and not name.endswith("bias") and path[-1:] != ["relative_attention_bias"]
