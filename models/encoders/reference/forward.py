"""The forward pass as transformers has it: the TF class of a model, called as it is.

Families without a forward pass of their own are trained by it, and those that have one must equal it. What differs
from a plain call is what training has to hold: padding has the checkpoint's id, and dropout follows its seed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from transformers.modeling_tf_pytorch_utils import convert_tf_weight_name_to_pt_weight_name

from models import features
from models.encoders.families import FAMILIES, Facts
from models.encoders.layers import Dropout
from models.encoders.reference import patches

Inputs = Mapping[str, tf.Tensor]

_UNREAD = "mask_emb"  # of XLNet: what stands for a word to guess

# The name of a layer's tensor up to its number: "encoder.layer.3." of "encoder.layer.3.output.dense.weight".
_LAYER = re.compile(r"(?:\w+\.)+?\d+\.(?:\d+\.)*")


def classify(
    model: Any,
    inputs: Inputs,
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
    return _called(model, inputs, dropout_seed, dtype, _LOGITS)


def label_tokens(
    model: Any,
    inputs: Inputs,
    dropout_seed: tf.Tensor | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """As `classify`, for the class for token classification: logits float32 [rows, tokens, labels]."""
    return _called(model, inputs, dropout_seed, dtype, _TOKEN_LOGITS)


def _called(
    model: Any,
    inputs: Inputs,
    dropout_seed: tf.Tensor | None,
    dtype: tf.DType,
    special: Mapping[str, Callable[[Any, Inputs, bool], tf.Tensor]],
) -> tf.Tensor:
    """`special`: model type -> how its class is called, where that is not as the others."""
    if dtype != tf.float32:
        raise ValueError(f"the classes of transformers compute in float32, not {dtype.name}")
    given = {name: inputs[name] for name in _facts(model).INPUTS if name in inputs}
    given[features.INPUT_IDS] = _with_padding_id(given, model.config.pad_token_id)
    logits = special.get(model.config.model_type, _of_class)
    with patches.active(model, Dropout(dropout_seed), given[features.ATTENTION_MASK]):
        return logits(model, given, dropout_seed is not None)


@tf.autograph.experimental.do_not_convert
def _facts(model: Any) -> Facts:
    return FAMILIES[model.config.model_type].facts()


def _with_padding_id(inputs: Inputs, pad_id: int | None) -> tf.Tensor:
    """The ids as transformers' tokenizer pads them: some classes find positions and the last token by that id."""
    ids = inputs[features.INPUT_IDS]
    return ids if pad_id is None else tf.where(inputs[features.ATTENTION_MASK] > 0, ids, pad_id)


# --- logits of the classes ----------------------------------------------------------------------------


def _of_class(model: Any, inputs: Inputs, training: bool) -> tf.Tensor:
    return model(**inputs, return_dict=True, training=training).logits


def _of_bart(model: Any, inputs: Inputs, training: bool) -> tf.Tensor:
    """The class reads the last `</s>` of each row, and mixes rows up where a text has one, too (tf.reshape)."""
    hidden = model.model(**inputs, return_dict=True, training=training)[0]
    ids = inputs[features.INPUT_IDS]
    ends = tf.cast(ids == model.config.eos_token_id, tf.int32) * tf.range(tf.shape(ids)[1])
    return model.classification_head(tf.gather(hidden, tf.reduce_max(ends, axis=1), batch_dims=1))


def _of_mobilebert(model: Any, inputs: Inputs, training: bool) -> tf.Tensor:
    """The class joins each token's embedding with its neighbours': after the last token come zeros, not padding."""
    words = tf.gather(model.mobilebert.embeddings.weight, inputs[features.INPUT_IDS])
    words *= tf.cast(inputs[features.ATTENTION_MASK], tf.float32)[:, :, None]
    others = {name: value for name, value in inputs.items() if name != features.INPUT_IDS}
    return model(None, inputs_embeds=words, **others, return_dict=True, training=training).logits


def _of_xlnet(model: Any, inputs: Inputs, training: bool) -> tf.Tensor:
    """The class reads the last token, so that it is padded on the left, as XLNet's tokenizer does."""
    mask = inputs[features.ATTENTION_MASK]
    tokens = tf.shape(mask)[1]
    source = tf.range(tokens) - (tokens - tf.reduce_sum(mask, axis=1, keepdims=True))
    moved = {
        name: tf.where(source < 0, _XLNET_PADDING.get(name, model.config.pad_token_id), values)
        for name, values in (
            (n, tf.gather(v, tf.maximum(source, 0), batch_dims=1)) for n, v in inputs.items()
        )
    }
    return _of_class(model, moved, training)


_XLNET_PADDING = {features.ATTENTION_MASK: 0, features.TOKEN_TYPE_IDS: 3}
_LOGITS = {"bart": _of_bart, "mobilebert": _of_mobilebert, "xlnet": _of_xlnet}
_TOKEN_LOGITS = {"mobilebert": _of_mobilebert}


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
    return (
        variable.shape.rank > 1
        and not name.endswith(("bias", _UNREAD))
        and path[-1:] != ["relative_attention_bias"]
    )
