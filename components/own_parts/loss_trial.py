"""Tries the function of `train.loss` on a few rows of random logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from components.own_parts.graph_ops import check_ops, one_tensor
from components.own_parts.unfit import UnfitError
from models.tasks.objective import Objective
from models.tasks.task import TASKS, Task

_ROWS = 6
_SPREAD = 20.0  # logits of a model that is very sure


def try_loss(function: Any, request: Mapping[str, Any]) -> None:
    """Raises UnfitError if the function breaks the contract: a finite loss of each row, from the row alone, with a gradient.

    `request`: with `task` and `labels`, the label list, which has an output each.
    """
    task, outputs = TASKS[request["task"]], len(request["labels"])
    logits = tf.TensorSpec([None, outputs], tf.float32)

    @tf.function(input_signature=[logits, task.labels().batch_spec()], autograph=False)
    def losses(logits: tf.Tensor, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return task.head().row_losses(logits, batch, Objective(own=function))

    @tf.function(input_signature=[logits, task.labels().batch_spec()], autograph=False)
    def gradient(logits: tf.Tensor, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            total = tf.reduce_sum(task.head().row_losses(logits, batch, Objective(own=function)))
        found = tape.gradient(total, logits)
        if found is None:
            raise UnfitError("does not depend on the logits by ops that have a gradient")
        return found

    concrete = losses.get_concrete_function()
    made = one_tensor(concrete)
    if made.dtype != tf.float32 or not made.shape.is_compatible_with([None]):
        raise UnfitError(f"must return float32 [rows], returns {made.dtype.name} {made.shape}")
    check_ops(concrete)
    _check_values(losses, gradient, random_logits(outputs), random_batch(task, outputs))


def _check_values(losses: Any, gradient: Any, logits: tf.Tensor, batch: Mapping[str, tf.Tensor]) -> None:
    together = losses(logits, batch).numpy()
    if together.shape != (_ROWS,):
        raise UnfitError(f"must return a loss for each of {_ROWS} rows, returns the shape {together.shape}")
    if not np.isfinite(together).all():
        raise UnfitError(f"gives {together.tolist()} for logits up to {_SPREAD:g}: losses must be finite")
    slopes = gradient(logits, batch).numpy()
    if not np.isfinite(slopes).all():
        raise UnfitError(
            f"has the gradient {slopes.tolist()} for logits up to {_SPREAD:g}: it must be finite"[:300]
        )
    if not slopes.any():
        raise UnfitError("has a gradient of 0 everywhere: nothing would be learned")
    for row in range(_ROWS):
        one = {name: values[row : row + 1] for name, values in batch.items()}
        alone = losses(logits[row : row + 1], one).numpy()[0]
        if not np.isclose(alone, together[row], rtol=1e-4, atol=1e-6):
            raise UnfitError(
                f"gives a row {alone:g} alone and {together[row]:g} among other rows: a row's loss may not depend on the rows "
                "beside it"
            )


def random_logits(outputs: int) -> tf.Tensor:
    """float32 [rows, outputs]; the last two rows are those of a model that is very sure."""
    draws = np.random.default_rng(0).normal(size=[_ROWS, outputs])
    sure = np.where(np.arange(outputs) % 2, -_SPREAD, _SPREAD)
    draws[-2:] = [sure, -sure]
    return tf.constant(draws, tf.float32)


def random_batch(task: Task, outputs: int) -> dict[str, tf.Tensor]:
    """Labels for the rows: ids of all labels in turn, numbers from -2 to 2."""
    batch = {}
    for name, spec in task.labels().batch_spec().items():
        shape = [_ROWS if i == 0 else size or 2 for i, size in enumerate(spec.shape)]
        count = int(np.prod(shape))
        values = np.linspace(-2.0, 2.0, count) if spec.dtype.is_floating else np.arange(count) % outputs
        batch[name] = tf.constant(values.reshape(shape), spec.dtype)
    return batch
