"""AdamW with warm-up, decay, gradient clipping and loss scaling, in one pass over each variable.

The update is Loshchilov and Hutter's in PyTorch's form (epsilon outside the bias correction).
Keras' AdamW makes a dozen passes over every variable and takes twice the time on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from components.trainer.embedding_rows import EmbeddingRows
from components.trainer.settings import TrainSettings

_FIRST_LOSS_SCALE = 2.0**15
_STEPS_TO_GROW_SCALE = 2000


def learning_rate(settings: TrainSettings, step: int, total_steps: int) -> float:
    """The learning rate of the update after `step` completed ones.

    Linear warm-up from 0 over `warmup_ratio` of all steps, then the schedule's decay:
    {"learning_rate": 1.0, "warmup_ratio": 0.5} over 4 steps gives 0, 0.5, 1, 0.5.
    """
    warmup = math.ceil(settings.warmup_ratio * total_steps)
    if step < warmup:
        return settings.learning_rate * step / warmup
    if settings.lr_scheduler_type == "constant_with_warmup":
        return settings.learning_rate
    done = (step - warmup) / max(1, total_steps - warmup)
    share = 1.0 - done if settings.lr_scheduler_type == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return settings.learning_rate * max(0.0, share)


class AdamW(tf.Module):
    """The optimizer's state and update; created inside the strategy's scope.

    Args:
        variables: the variables to update.
        settings: the config's `train` section.
        is_decayed: whether weight decay applies to a variable; each family of encoders defines its own.
        rows: the used rows of one of the variables, an embedding; `settle` brings the others up to date.
        rate_shares: of each variable, the share of the learning rate that it has; None: all of it.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        settings: TrainSettings,
        is_decayed: Callable[[tf.Variable], bool],
        rows: EmbeddingRows | None = None,
        rate_shares: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self._rate_shares = [1.0] * len(variables) if rate_shares is None else rate_shares
        self._decayed = [is_decayed(variable) for variable in variables]
        self._rows = rows
        self._updated = [rows.values if rows is not None and v is rows.variable else v for v in variables]
        self._settings = settings
        self.first_moments = [_like(v) for v in self._updated]
        self.second_moments = [_like(v) for v in self._updated]
        self.step = _counter(0, tf.int64)
        self.updates = _counter(0, tf.int64)  # steps that were not skipped
        # Only float16 needs a loss scale: small gradients would underflow.
        self.loss_scale = _counter(_FIRST_LOSS_SCALE if settings.fp16 else 1.0, tf.float32)
        self.good_steps = _counter(0, tf.int64)

    @property
    def state(self) -> list[tf.Variable]:
        """Everything that a resumed run needs in addition to the weights."""
        return [
            *self.first_moments,
            *self.second_moments,
            self.step,
            self.updates,
            self.loss_scale,
            self.good_steps,
            *([self._rows.pending] if self._rows is not None else []),
        ]

    @property
    def gradient_shapes(self) -> list[tf.TensorShape]:
        """Of what `gradients` returns."""
        return [variable.shape for variable in self._updated]

    def gradients(self, gradients: Sequence[tf.Tensor | tf.IndexedSlices]) -> list[tf.Tensor]:
        """What a tape gives for the variables -> what `apply` takes: dense, an embedding's for its rows only."""
        return [
            self._rows.gradient(gradient)
            if self._rows is not None and updated is self._rows.values
            else tf.convert_to_tensor(gradient)
            for updated, gradient in zip(self._updated, gradients, strict=True)
        ]

    def settle(self) -> None:
        """Brings the rows of the embedding up to date that no step updates; call it before they are read."""
        if self._rows is not None:
            self._rows.settle()

    def reload(self) -> None:
        """Follows variables that were restored."""
        if self._rows is not None:
            self._rows.reload()

    def apply(self, gradients: Sequence[tf.Tensor], divisor: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        """Updates the variables from the gradients summed over all rows.

        Args:
            gradients: what `gradients` returns for (loss sum * loss scale), summed over rows, passes and
                replicas.
            divisor: the sum of the rows' weights; the gradient of the mean loss is gradients / divisor.
                0 (all rows belong to classes of weight 0) skips the update.
            rate: learning rate, float32 scalar.

        Returns:
            The norm of the mean gradient before clipping.
        """
        unscale = tf.math.divide_no_nan(1.0, divisor * self.loss_scale)
        norm = tf.sqrt(2.0 * tf.add_n([tf.nn.l2_loss(g) for g in gradients])) * unscale
        if self._settings.max_grad_norm is not None:
            unscale *= tf.minimum(1.0, self._settings.max_grad_norm / (norm + 1e-6))
        scaled = self._settings.fp16
        finite = tf.math.is_finite(norm)
        if scaled or self._settings.class_weights is not None:
            useful = tf.logical_and(divisor > 0.0, tf.logical_or(finite, not scaled))
            tf.cond(useful, lambda: self._update(gradients, unscale, rate), tf.no_op)
        else:
            self._update(gradients, unscale, rate)
        if scaled:
            self._adjust_scale(finite)
        self.step.assign_add(1)
        return norm

    def _update(self, gradients: Sequence[tf.Tensor], scale: tf.Tensor, rate: tf.Tensor) -> tf.Operation:
        s = self._settings
        step = tf.cast(self.updates + 1, tf.float32)
        power1, power2 = tf.pow(s.adam_beta1, step), tf.pow(s.adam_beta2, step)
        # The kernel adds epsilon before the bias correction of the second moment; this undoes that.
        epsilon = s.adam_epsilon * tf.sqrt(1.0 - power2)
        for variable, decays, share, m, v, gradient in zip(
            self._updated,
            self._decayed,
            self._rate_shares,
            self.first_moments,
            self.second_moments,
            gradients,
            strict=True,
        ):
            own_rate = rate * share
            if s.weight_decay > 0.0 and decays:
                kept = 1.0 - own_rate * s.weight_decay
                # Through the handle, because every replica updates its own copy.
                decayed = variable.read_value() * kept
                tf.raw_ops.AssignVariableOp(resource=variable.handle, value=decayed)
                if self._rows is not None and variable is self._rows.values:
                    self._rows.pending.assign(self._rows.pending * kept)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=power1,
                beta2_power=power2,
                lr=own_rate,
                beta1=s.adam_beta1,
                beta2=s.adam_beta2,
                epsilon=epsilon,
                grad=gradient * scale,
            )
        if self._rows is not None:
            self._rows.write()
        self.updates.assign_add(1)
        return tf.no_op()

    def _adjust_scale(self, finite: tf.Tensor) -> None:
        """Halves the loss scale after an overflow, whose step is skipped; doubles it after many good steps."""
        good_steps = tf.where(finite, self.good_steps + 1, 0)
        grown = good_steps >= _STEPS_TO_GROW_SCALE
        factor = tf.where(finite, tf.where(grown, 2.0, 1.0), 0.5)
        self.loss_scale.assign(tf.maximum(1.0, self.loss_scale * factor))
        self.good_steps.assign(tf.where(grown, tf.zeros_like(good_steps), good_steps))


def _like(variable: tf.Variable) -> tf.Variable:
    return tf.Variable(tf.zeros(variable.shape), trainable=False)


def _counter(value: float, dtype: tf.DType) -> tf.Variable:
    # All replicas have the same count, which the strategy must not sum.
    return tf.Variable(
        value, dtype=dtype, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
    )
