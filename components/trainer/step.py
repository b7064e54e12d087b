"""The compiled functions of the training loop: a training step, optionally accumulated, and a scoring step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from components.trainer import windows
from components.trainer.dataset import ROW_WEIGHT
from components.trainer.optimizer import AdamW
from components.trainer.settings import TrainSettings
from models.encoders.families import logits_of
from models.tasks.objective import PLAIN, Objective
from models.tasks.task import Task

_MASKS_PER_PASS = 4096  # more than the dropout masks of one pass, so that the seeds of passes do not overlap

Inputs = Mapping[str, tf.Tensor]


class TrainStep:
    """`update` performs an optimizer step; `accumulate` adds a pass to the next one.

    Gradients and row weights are summed and divided once, so n passes of k rows equal one pass of n * k rows,
    for any weights and any size of the last batch.
    """

    def __init__(
        self,
        model: Any,
        variables: Sequence[tf.Variable],
        optimizer: AdamW,
        settings: TrainSettings,
        strategy: tf.distribute.Strategy,
        inputs: Sequence[str],
        task: Task,
        objective: Objective = PLAIN,
    ) -> None:
        self._model, self._variables, self._optimizer = model, list(variables), optimizer
        self._settings, self._strategy, self._head = settings, strategy, task.head()
        self._objective = objective
        self._classify = logits_of(model)
        self._sums: list[tf.Variable] = []
        if settings.gradient_accumulation_steps > 1:
            shapes = optimizer.gradient_shapes + [tf.TensorShape([])] * 2
            with strategy.scope():
                self._sums = [_replica_sum(shape) for shape in shapes]
        counter, rate = tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.float32)
        compiled = _compiler(settings, strategy)
        batch = batch_spec(inputs, task)
        self._update = compiled(self._update_all_replicas, [batch, counter, rate])
        self._accumulate = compiled(self._accumulate_all_replicas, [batch, counter])

    def accumulate(self, batch: Inputs, number: int) -> None:
        """Adds the gradients of pass `number` (counted over the whole training) to the sums."""
        self._accumulate(batch, tf.constant(number, tf.int64))

    def update(self, batch: Inputs, number: int, rate: tf.Tensor) -> tf.Tensor:
        """Runs the last (or only) pass of a step. Returns the mean loss of the step's rows."""
        return self._update(batch, tf.constant(number, tf.int64), rate)

    def _update_all_replicas(self, batch: Inputs, number: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        losses = self._strategy.run(self._replica_update, args=(batch, number, rate))
        # All replicas return the mean over all of them.
        return self._strategy.experimental_local_results(losses)[0]

    def _accumulate_all_replicas(self, batch: Inputs, number: tf.Tensor) -> None:
        self._strategy.run(self._replica_accumulate, args=(batch, number))

    def _replica_accumulate(self, batch: Inputs, number: tf.Tensor) -> None:
        for total, value in zip(self._sums, self._backward(batch, number), strict=True):
            total.assign_add(value)

    def _replica_update(self, batch: Inputs, number: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        values = self._backward(batch, number)
        if self._sums:
            values = [total + value for total, value in zip(self._sums, values, strict=True)]
            for total in self._sums:
                total.assign(tf.zeros(total.shape))
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            values = context.all_reduce(tf.distribute.ReduceOp.SUM, values)
        *gradients, loss, weight = values
        self._optimizer.apply(gradients, weight, rate)
        return tf.math.divide_no_nan(loss, weight)

    def _backward(self, batch: Inputs, number: tf.Tensor) -> list[tf.Tensor]:
        """Gradients of (loss sum * loss scale), then the loss sum and the sum of the rows' weights."""
        context = tf.distribute.get_replica_context()
        pass_number = number * context.num_replicas_in_sync + tf.cast(
            context.replica_id_in_sync_group, tf.int64
        )
        seed = tf.stack([tf.constant(self._settings.seed, tf.int64), pass_number * _MASKS_PER_PASS])
        with tf.GradientTape() as tape:
            logits = self._classify(self._model, batch, seed, tf.as_dtype(self._settings.compute_dtype))
            losses = self._head.row_losses(logits, batch, self._objective)
            loss = tf.reduce_sum(losses * batch[ROW_WEIGHT])
            scaled = loss * self._optimizer.loss_scale
        # XLNet's class has a variable that no classifier reads.
        tape_gradients = tape.gradient(
            scaled, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        gradients = self._optimizer.gradients(tape_gradients)
        return [*gradients, loss, tf.reduce_sum(batch[ROW_WEIGHT])]


def scoring_function(
    model: Any,
    settings: TrainSettings,
    strategy: tf.distribute.Strategy,
    inputs: Sequence[str],
    task: Task,
    objective: Objective = PLAIN,
    aggregate: str | None = None,
) -> Callable[[Inputs], tf.Tensor]:
    """Returns a function from a batch to the head's `score_sums`, float32 [sums], over all replicas.

    Rows of weight 0 do not count. `aggregate`: how the logits of windows become those of a text; None if rows have no
    windows.
    """
    head, logits = task.head(), _logits(model, settings, inputs, aggregate)

    def replica(batch: Inputs) -> tf.Tensor:
        return head.score_sums(logits(batch), batch, batch[ROW_WEIGHT], objective)

    def all_replicas(batch: Inputs) -> tf.Tensor:
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(replica, args=(batch,)), axis=None)

    return _compiler(settings, strategy)(all_replicas, [_scored_spec(inputs, task, aggregate)])


def logits_function(
    model: Any,
    settings: TrainSettings,
    strategy: tf.distribute.Strategy,
    inputs: Sequence[str],
    task: Task,
    aggregate: str | None = None,
) -> Callable[[Inputs], tf.Tensor]:
    """Returns a function from a batch to the logits of its rows, float32 [rows, outputs]; for a single replica."""
    spec = _scored_spec(inputs, task, aggregate)
    return _compiler(settings, strategy)(_logits(model, settings, inputs, aggregate), [spec])


def _logits(
    model: Any, settings: TrainSettings, inputs: Sequence[str], aggregate: str | None
) -> Callable[[Inputs], tf.Tensor]:
    classify = logits_of(model)

    def plain(batch: Inputs) -> tf.Tensor:
        return classify(model, batch, None, tf.as_dtype(settings.compute_dtype))

    def logits(batch: Inputs) -> tf.Tensor:
        if aggregate is None:
            return plain(batch)
        tokens, texts = {name: batch[name] for name in inputs}, tf.shape(batch[ROW_WEIGHT])[0]
        return windows.text_logits(plain, tokens, batch[windows.TEXT], texts, aggregate)

    return logits


def _scored_spec(inputs: Sequence[str], task: Task, aggregate: str | None) -> dict[str, tf.TensorSpec]:
    spec = batch_spec(inputs, task)
    if aggregate is not None:
        spec[windows.TEXT] = tf.TensorSpec([None], tf.int32)
    return spec


def batch_spec(inputs: Sequence[str], task: Task) -> dict[str, tf.TensorSpec]:
    """The spec of the batches that `dataset` yields for these inputs, with any number of rows and tokens."""
    tokens = tf.TensorSpec([None, None], tf.int32)
    spec = dict.fromkeys(inputs, tokens) | task.labels().batch_spec()
    return spec | {ROW_WEIGHT: tf.TensorSpec([None], tf.float32)}


def _compiler(
    settings: TrainSettings, strategy: tf.distribute.Strategy
) -> Callable[[Callable[..., Any], list[Any]], Any]:
    """Traces once for all shapes, or once per shape if the compiler needs fixed shapes."""
    # Nothing here branches on tensors, and AutoGraph would take longer than tracing does.
    traced = functools.partial(tf.function, autograph=False)
    if settings.xla or settings.strategy == "tpu":
        return lambda function, _: traced(function, jit_compile=settings.xla or None)
    if strategy.num_replicas_in_sync > 1:  # an input_signature cannot describe values of several replicas
        return lambda function, _: traced(function, reduce_retracing=True)
    return lambda function, signature: traced(function, input_signature=signature)


def _replica_sum(shape: tf.TensorShape) -> tf.Variable:
    """A sum over each replica's own rows; the replicas' sums are added in the optimizer step."""
    return tf.Variable(
        tf.zeros(shape),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )
