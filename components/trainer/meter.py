"""Measures time, loss and padding of the training steps."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from components.trainer.dataset import Batch
from models import features


class Meter:
    """Leaves losses on the device until they are read, so that a step does not wait for the host.

    The first step, which traces and compiles, is excluded from times and rates.
    """

    def __init__(self, losses: Sequence[float] = ()) -> None:
        """`losses`: those of an interrupted run since its last evaluation."""
        self.seconds = 0.0
        self._steps = self._rows = self._tokens = self._slots = 0
        self._pending: list[tf.Tensor] = []
        self._since_evaluation = list(losses)
        self._started: float | None = None  # start of the current step; None: not measured
        self._reported = time.perf_counter()

    def add(self, batches: Sequence[Batch], loss: tf.Tensor) -> None:
        """Counts one finished optimizer step."""
        self._pending.append(loss)
        now = time.perf_counter()
        masks = [batch[features.ATTENTION_MASK].numpy() for batch in batches]
        if self._started is not None:
            self.seconds += now - self._started
            self._steps += 1
            self._rows += sum(int(np.count_nonzero(mask[:, 0])) for mask in masks)
        self._tokens += sum(int(np.count_nonzero(mask)) for mask in masks)
        self._slots += sum(mask.size for mask in masks)
        self._started = now

    def seconds_since_report(self) -> float:
        return time.perf_counter() - self._reported

    @property
    def seconds_per_step(self) -> float:
        return self.seconds / max(1, self._steps)

    @property
    def rows_per_second(self) -> float:
        return self._rows / max(1e-9, self.seconds)

    @property
    def padding_share(self) -> float:
        """Share of the computed tokens that were padding."""
        return 1.0 - self._tokens / max(1, self._slots)

    def take_loss(self) -> float | None:
        """Mean loss of the steps since the last call, None if there were none; restarts the clock of the next step."""
        values = self._read_pending()
        self._reported = self._started = time.perf_counter()
        return sum(values) / len(values) if values else None

    def restart(self) -> None:
        """Restarts the clock of the next step, because the time since the last one was not spent on training."""
        if self._started is not None:
            self._started = time.perf_counter()

    def losses(self) -> list[float]:
        """Losses of the steps since `forget_losses`."""
        return self._since_evaluation + [float(loss) for loss in self._pending]

    def forget_losses(self) -> None:
        """Discards the losses after an evaluation."""
        self._read_pending()
        self._since_evaluation = []

    def _read_pending(self) -> list[float]:
        values = [float(loss) for loss in self._pending]
        self._pending = []
        self._since_evaluation += values
        return values
