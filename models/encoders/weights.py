"""The TF model of an encoder with a head for classification, and how pretrained tensors get into its variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import transformers
from transformers.modeling_tf_pytorch_utils import apply_transpose, convert_tf_weight_name_to_pt_weight_name

from models.encoders.families import AUTO, FAMILIES, token_class

Readers = Mapping[str, Callable[[], npt.NDArray[np.float32]]]


def build_classifier(
    config: Any, tensors: Readers, seed: int = 0, way: str = AUTO, labels_tokens: bool = False
) -> Any:
    """An instance of the family's TF class, as TFBertForSequenceClassification, with float32 weights.

    Args:
        config: what `hugging_face_config` returned.
        tensors: PyTorch's name without the model's prefix, `encoder.layer.0.output.dense.weight` -> what reads the
            values, float32. They are read one by one.
        seed: of the initial weights of variables without a tensor: the head's, and the pooler's where there is none.
        way: the forward pass that `forward_of` finds for the model: AUTO or REFERENCE.
        labels_tokens: the class is that for token classification, as TFBertForTokenClassification, which the family must
            have.
    """
    facts = FAMILIES[config.model_type].facts()
    for wrong, right in facts.MISSPELT.items():
        setattr(config, wrong, getattr(config, right))
    model = getattr(transformers, token_class(facts) if labels_tokens else facts.TF_CLASS)(config)
    model.forward_way, model.labels_tokens, model.own_head = way, labels_tokens, None
    encoder = getattr(model, model.base_model_prefix)
    unread = [getattr(encoder, part) for part in facts.UNREAD]
    if labels_tokens:
        # No head for tokens reads a pooler, which some of its classes have.
        names = ("pooler", *getattr(facts, "UNREAD_FOR_TOKENS", ()))
        unread += [layer for layer in model.submodules if getattr(layer, "name", "") in names]
    for layer in unread:
        layer.trainable = False
    model.build_in_name_scope()
    fresh = _assign(model, tensors, facts.PREFIX)
    _initialize(fresh, _initial_deviation(config), seed)
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


def pytorch_weights(
    variables: Mapping[str, npt.NDArray[np.float32]], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, npt.NDArray[np.float32]]:
    """Values of variables by their names in TensorFlow -> by the names and in the shapes that PyTorch has for them.

    `tf_bert.../bert/pooler/dense/kernel:0` [inputs, outputs] -> `bert.pooler.dense.weight` [outputs, inputs].

    Args:
        variables: name of a variable -> its values.
        shapes: PyTorch's name -> shape, where the shape is not that of the variable or its transpose.
    """
    weights = {}
    for variable, values in variables.items():
        name, transpose = convert_tf_weight_name_to_pt_weight_name(variable, tf_weight_shape=values.shape)
        weights[name] = np.ascontiguousarray(
            apply_transpose(transpose, values, match_shape=shapes.get(name), pt_to_tf=False)
        )
    return weights


def _assign(model: Any, tensors: Readers, prefix: str) -> list[Any]:
    """Copies the tensors into the variables of their name. Returns the variables that got none.

    The library's own loader fails on safetensors of PyTorch format (huggingface/transformers#40028)
    and asks for torch on the other paths; its table of names is all that is needed of it.
    """
    fresh = []
    # Of some classes a table that PyTorch shares between layers goes by the name of any of them.
    other_names = getattr(model, "tf_to_pt_weight_rename", lambda name: (name,))
    for variable in model.variables:
        name, transpose = convert_tf_weight_name_to_pt_weight_name(
            variable.name, tf_weight_shape=variable.shape
        )
        names = [other.removeprefix(prefix) for other in other_names(name)]
        found = [tensors[name] for name in names if name in tensors]
        if found:
            # Shapes differ where PyTorch has a vector: GPT-2's biases are [1, outputs].
            variable.assign(apply_transpose(transpose, found[0](), match_shape=variable.shape.as_list()))
        else:
            fresh.append(variable)
    return fresh


def _initial_deviation(config: Any) -> float:
    """transformers has two names for it."""
    return float(config.init_std if hasattr(config, "init_std") else config.initializer_range)


def _initialize(variables: Sequence[Any], stddev: float, seed: int) -> None:
    """Truncated normal kernels and zero biases, the same for the same seed."""
    for position, variable in enumerate(variables):
        if variable.shape.rank > 1:
            draw = tf.random.stateless_truncated_normal(variable.shape, [seed, position], stddev=stddev)
            variable.assign(draw)
        else:
            variable.assign(tf.zeros(variable.shape))
