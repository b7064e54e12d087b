"""The TF model of an encoder with a head for classification, and how pretrained tensors get into its variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import transformers
from transformers.modeling_tf_pytorch_utils import TransposeType, convert_tf_weight_name_to_pt_weight_name

from models.encoders.families import AUTO, FAMILIES

Readers = Mapping[str, Callable[[], npt.NDArray[np.float32]]]


def build_classifier(config: Any, tensors: Readers, seed: int = 0, way: str = AUTO) -> Any:
    """An instance of the family's TF class, as TFBertForSequenceClassification, with float32 weights.

    Args:
      config: what `hugging_face_config` returned.
      tensors: PyTorch's name without the model's prefix, `encoder.layer.0.output.dense.weight` -> what reads the
        values, float32. They are read one by one.
      seed: of the initial weights of variables without a tensor: the head's, and the pooler's where there is none.
      way: the forward pass that `forward_of` finds for the model: AUTO or REFERENCE.
    """
    facts = FAMILIES[config.model_type].facts()
    for wrong, right in facts.MISSPELT.items():
        setattr(config, wrong, getattr(config, right))
    model = getattr(transformers, facts.TF_CLASS)(config)
    model.forward_way = way
    for part in facts.UNREAD:
        getattr(getattr(model, model.base_model_prefix), part).trainable = False
    model.build_in_name_scope()
    fresh = _assign(model.variables, tensors, facts.PREFIX)
    _initialize(fresh, config.initializer_range, seed)
    return model


def hugging_face_config(model_type: str, values: Mapping[str, Any], labels: Sequence[str]) -> Any:
    """transformers' config of that `model_type`, as BertConfig, with `values` and the class names."""
    return transformers.AutoConfig.for_model(
        model_type,
        **values,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )


def _assign(variables: Sequence[Any], tensors: Readers, prefix: str) -> list[Any]:
    """Copies the tensors into the variables of their name. Returns the variables that got none.

    The library's own loader fails on safetensors of PyTorch format (huggingface/transformers#40028)
    and asks for torch on the other paths; its table of names is all that is needed of it.
    """
    fresh = []
    for variable in variables:
        name, transpose = convert_tf_weight_name_to_pt_weight_name(
            variable.name, tf_weight_shape=variable.shape
        )
        read = tensors.get(name.removeprefix(prefix))
        if read is None:
            fresh.append(variable)
            continue
        values = read()
        variable.assign(values.T if transpose is TransposeType.SIMPLE else values)
    return fresh


def _initialize(variables: Sequence[Any], stddev: float, seed: int) -> None:
    """Truncated normal kernels and zero biases, the same for the same seed."""
    for position, variable in enumerate(variables):
        if variable.shape.rank > 1:
            draw = tf.random.stateless_truncated_normal(variable.shape, [seed, position], stddev=stddev)
            variable.assign(draw)
        else:
            variable.assign(tf.zeros(variable.shape))
