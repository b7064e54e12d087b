"""The forward pass as transformers has it: what the forward pass of each family must equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from models.encoders.families import FAMILIES


def classify(model: Any, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Calls the TF class itself, without dropout: token ids int32 [rows, tokens] -> logits float32 [rows, classes].

    `inputs` are as for `Forward.classify`.
    """
    taken = FAMILIES[model.config.model_type].facts().INPUTS
    given = {name: inputs[name] for name in taken if name in inputs}
    return model(**given, return_dict=True, training=False).logits
