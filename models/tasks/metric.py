"""Properties of a metric that are known without computing it. Imports no TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass

BY_TASK = "task"  # computed by the task's module `evaluation`
OWN = "own"  # computed by the user's class, whose dotted path is the metric's name


@dataclass(frozen=True)
class Metric:
    """A metric of a model on a split; its name in configs and files is its key in the task's `METRICS` or `SCORES`.

    Attributes:
        title: name in texts and charts.
        computed_by: class in `components/evaluator/metrics.py`, or in TFMA with the prefix "tfma.", or BY_TASK, or OWN; ""
            for a score of the training loop, which the head computes.
        highest: upper end of its range.
        lowest: lower end of its range.
        lower_is_better: true for a loss, for example.
        over_classes: it is an average over classes, which says nothing in a slice by the label, which has one class.
        one_against_rest: TFMA computes it for each class against all others and averages.
        counts_rows: it counts the evaluated rows and does not rate the model.
    """

    title: str
    computed_by: str = ""
    highest: float = 1.0
    lowest: float = 0.0
    lower_is_better: bool = False
    over_classes: bool = False
    one_against_rest: bool = False
    counts_rows: bool = False

    @property
    def bounded(self) -> bool:
        """Whether its range has two ends."""
        return math.isfinite(self.highest) and math.isfinite(self.lowest)

    def worse_by(self, value: float, baseline: float) -> float:
        """How much worse `value` is than `baseline`; negative if it is better."""
        return value - baseline if self.lower_is_better else baseline - value
