"""What can be said of a figure without computing it. No TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A figure of a model on a split; its name in configs and files is its key in the task's `METRICS` or `SCORES`.

    Attributes:
        title: how text and charts name it.
        computed_by: class of `components/evaluator/metrics.py`, or of TFMA with "tfma." before it; "" for a score of
            the training loop, which the head computes.
        highest: end of its range, which begins at 0.
        lower_is_better: such as a loss.
        over_classes: an average over classes. In a slice by the label, which has one class, it says nothing.
        one_against_rest: TFMA computes it for each class against all others, and takes the mean.
        counts_rows: tells how much was judged, not how good a model is.
    """

    title: str
    computed_by: str = ""
    highest: float = 1.0
    lower_is_better: bool = False
    over_classes: bool = False
    one_against_rest: bool = False
    counts_rows: bool = False

    @property
    def bounded(self) -> bool:
        """Whether it is a share of 1."""
        return math.isfinite(self.highest)

    def worse_by(self, value: float, baseline: float) -> float:
        """How much worse `value` is than `baseline`; negative when it is better."""
        return value - baseline if self.lower_is_better else baseline - value
