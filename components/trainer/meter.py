"""Time, loss and padding of the training steps."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from components.trainer.dataset import Batch
from models import features


class Meter:
    """Losses stay on the device until someone asks, so that a step does not wait for the host.

    The first step, which traces and compiles, does not count in times and rates.
    """

    def __init__(self, losses: Sequence[float] = ()) -> None:
        """`losses` are those since the last evaluation, of an interrupted run."""
        self.seconds = 0.0
        self._steps = self._rows = self._tokens = self._slots = 0
        self._pending: list[tf.Tensor] = []
        self._since_evaluation = list(losses)
        self._started: float | None = None  # of the step under way; None: do not count it
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
        """Mean loss of the steps since the last call, None without a step; the next step's clock starts now."""
        values = self._read_pending()
        self._reported = self._started = time.perf_counter()
        return sum(values) / len(values) if values else None

    def restart(self) -> None:
        """The next step's clock starts now: what was done since the last step was no training."""
        if self._started is not None:
            self._started = time.perf_counter()

    def losses(self) -> list[float]:
        """Losses of the steps since `forget_losses`."""
        return self._since_evaluation + [float(loss) for loss in self._pending]

    def forget_losses(self) -> None:
        """Starts anew: the model is evaluated."""
        self._read_pending()
        self._since_evaluation = []

    def _read_pending(self) -> list[float]:
        values = [float(loss) for loss in self._pending]
        self._pending = []
        self._since_evaluation += values
        return values
