"""Tries the class of `model.head` on random hidden states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from components.own_parts.graph_ops import check_ops, one_tensor
from components.own_parts.unfit import UnfitError
from models.encoders.layers import Dropout

_WIDTH, _TOKENS = 8, 6
_LENGTHS = (6, 3, 1, 5)


def try_head(of_class: Any, request: Mapping[str, Any]) -> None:
    """Raises UnfitError if the class breaks the contract: logits of a row from its own tokens, by variables that are trained.

    `request`: with `labels`, the label list, which has an output each.
    """
    outputs = len(request["labels"])
    head = of_class(_WIDTH, outputs, 0)
    variables = _variables(head)
    _check_initial(variables, _variables(of_class(_WIDTH, outputs, 0)))
    specs = [tf.TensorSpec([None, None, _WIDTH], tf.float32), tf.TensorSpec([None, None], tf.int32)]

    @tf.function(input_signature=specs, autograph=False)
    def answer(hidden: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return head(hidden, mask, Dropout())

    concrete = answer.get_concrete_function()
    made = one_tensor(concrete)
    if made.dtype != tf.float32 or not made.shape.is_compatible_with([None, outputs]):
        raise UnfitError(f"must return float32 [rows, {outputs}], returns {made.dtype.name} {made.shape}")
    check_ops(concrete, allowed=("ReadVariableOp",))
    if len(head.trainable_variables) != len(variables):
        raise UnfitError("makes variables when it is called: make all of them in __init__")
    _check_logits(answer, outputs)
    _check_gradients(head, variables)


def _variables(head: Any) -> list[Any]:
    if not isinstance(head, tf.Module):
        raise UnfitError("must derive from tf.Module, by which its variables are found")
    variables = list(head.trainable_variables)
    if not variables:
        raise UnfitError("has no trainable variable after __init__: nothing would be learned")
    wrong = next((v for v in variables if v.dtype != tf.float32), None)
    if wrong is not None:
        raise UnfitError(f"has the variable {wrong.name} of type {wrong.dtype.name}: variables are float32")
    return variables


def _check_initial(variables: list[Any], again: list[Any]) -> None:
    for one, other in zip(variables, again, strict=True):
        if not np.array_equal(one.numpy(), other.numpy()):
            raise UnfitError(
                f"starts {one.name} otherwise with the same seed: draw it with `seed`, by tf.random.stateless_*"
            )


def _check_logits(answer: Any, outputs: int) -> None:
    hidden, mask = _hidden(), _mask()
    together = answer(hidden, mask).numpy()
    if together.shape != (len(_LENGTHS), outputs) or not np.isfinite(together).all():
        raise UnfitError(
            f"must return finite logits of the shape {[len(_LENGTHS), outputs]}, returns {together.tolist()}"[
                :300
            ]
        )
    if answer(hidden[:0], mask[:0]).shape != (0, outputs):
        raise UnfitError("must return no logits for no row: batches can be empty")
    for row, length in enumerate(_LENGTHS):
        alone = answer(hidden[row : row + 1, :length], mask[row : row + 1, :length]).numpy()[0]
        if not np.allclose(alone, together[row], rtol=1e-4, atol=1e-5):
            raise UnfitError(
                f"gives a row of {length} tokens {alone.tolist()} alone and {together[row].tolist()} with {_TOKENS - length} tokens "
                "of padding among other rows: use the mask, and nothing of other rows"
            )


def _check_gradients(head: Any, variables: list[Any]) -> None:
    with tf.GradientTape() as tape:
        logits = head(_hidden(), _mask(), Dropout(tf.constant([0, 0], tf.int64)))
        loss = tf.reduce_sum(logits**2)
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        if gradient is None:
            raise UnfitError(f"has the variable {variable.name}, on which its logits do not depend")
        if not np.isfinite(tf.convert_to_tensor(gradient).numpy()).all():
            raise UnfitError(f"has a gradient of {variable.name} that is not finite")


def _hidden() -> tf.Tensor:
    draws = np.random.default_rng(0).normal(size=[len(_LENGTHS), _TOKENS, _WIDTH])
    return tf.constant(draws, tf.float32)


def _mask() -> tf.Tensor:
    return tf.sequence_mask(_LENGTHS, _TOKENS, tf.int32)
