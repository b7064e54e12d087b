"""Template of a metric: what wrong answers cost, where mistakes are not equally bad.

    train: {metric_for_best_model: own_parts.metrics.ExpectedCost}
    evaluate: {thresholds: {own_parts.metrics.ExpectedCost: {max: 0.3, max_rise: 0.05}}}

The module imports no TensorFlow, because every check of a config that names it imports it.
"""

from collections.abc import Mapping, Sequence

import numpy as np

WRONG = 1.0
# (label, answer) -> cost, where it is not WRONG.
COSTS: Mapping[tuple[str, str], float] = {}
UNSURE_BELOW = 0.5  # such an answer goes to a person, who costs
PERSON = 0.2


class ExpectedCost:
    """The mean cost of a row: 0 for a right answer, WRONG or COSTS for a wrong one, PERSON for one that is not sure."""

    title = "expected cost"
    lowest, highest = 0.0, max(WRONG, PERSON, *COSTS.values())
    lower_is_better = True

    def __init__(self, labels: Sequence[str]) -> None:
        # [label, answer]; the last row is for a label that is not in the list.
        self._costs = np.full([len(labels) + 1, len(labels)], WRONG)
        for i, label in enumerate(labels):
            for j, answer in enumerate(labels):
                self._costs[i, j] = 0.0 if i == j else COSTS.get((label, answer), WRONG)

    def sums(self, targets: np.ndarray, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Rows, and their costs."""
        probabilities = outputs["probabilities"]
        costs = self._costs[targets, probabilities.argmax(-1)]
        costs = np.where(probabilities.max(-1) < UNSURE_BELOW, PERSON, costs)
        return np.array([len(costs), costs.sum()])

    def value(self, sums: np.ndarray) -> float:
        """The mean."""
        rows, cost = sums
        return float(cost / rows) if rows else float("nan")
