"""The contents of a report, before they are rendered as figures and pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from components.canary.report import CanaryReport
from components.evaluator.evaluation import Evaluation, format_bounds, holds
from components.evaluator.settings import EvaluateSettings
from components.report.data_statistics import Anomaly, SplitStatistics
from components.tokenization_gate.report import ParityReport
from components.trainer.history import History
from models.tasks.sections import Judged
from models.tasks.task import Task


@dataclass(frozen=True)
class Contents:
    """One model, its data, its training and its verdicts. Texts are not escaped."""

    name: str
    serving_dir: str
    text_columns: Sequence[str]
    evaluate: EvaluateSettings
    evaluation: Evaluation
    blessed: bool
    canary: CanaryReport
    history: History
    splits: Sequence[SplitStatistics]
    anomalies: Sequence[Anomaly]
    parity: ParityReport  # without examples if report.mistakes is 0
    rows_predicted: int
    task: Task
    figures: Any  # of the predictions, as the task's `figures` computes them
    mistakes: Sequence[Any]  # as the task's `mistakes` finds them
    model_artifact_id: int

    @property
    def accepted(self) -> bool:
        """Whether both gates accepted the model."""
        return self.blessed and self.canary.blessed

    @property
    def rows_evaluated(self) -> int:
        """Rows of the split that the model was evaluated on."""
        return next((s.rows for s in self.splits if s.name == self.evaluate.split), self.rows_predicted)

    @property
    def judged(self) -> Judged:
        """The values that the task's sections show in addition to its figures."""
        return Judged(
            self.rows_predicted,
            self.rows_evaluated,
            # Empty for integer labels, which the statistics do not count.
            next((s.labels for s in self.splits if s.name == self.evaluate.split), {}),
            self.evaluation.per_class,
            self.evaluation.per_class_baseline,
        )


class Headline(NamedTuple):
    """One metric of the whole evaluation split; `within` is None for a metric without bounds."""

    name: str
    value: float
    baseline: float | None
    bounds: str
    within: bool | None

    @property
    def change(self) -> float | None:
        """Difference to the last blessed model."""
        return None if self.baseline is None else self.value - self.baseline


def verdict(contents: Contents) -> tuple[str, Sequence[str]]:
    """One sentence, and the reasons if the model was rejected."""
    if not contents.blessed:
        return "Rejected by the Evaluator", contents.evaluation.refusals or ("no reason was recorded",)
    if not contents.canary.blessed:
        return "Blessed by the Evaluator, rejected by the Canary", contents.canary.reasons
    return "Accepted by the Evaluator and the Canary", ()


def headlines(contents: Contents) -> Iterator[Headline]:
    """Metrics of the whole split: first those with thresholds, then the configured ones, then the others."""
    metrics, baseline = contents.evaluation.metrics, contents.evaluation.baseline or {}
    thresholds = contents.evaluate.bounds
    for name in dict.fromkeys([*thresholds, *contents.evaluate.metrics, *metrics]):
        if name in metrics:
            value, before, bounds = metrics[name], baseline.get(name), thresholds.get(name)
            within = None if bounds is None else holds(name, bounds, value, before)
            yield Headline(name, value, before, format_bounds(bounds) if bounds else "", within)


def scalars(contents: Contents) -> dict[str, float]:
    """The figures of `system.Metrics`, without values that are not finite.

    `{"<metric>": 0.94, "<metric>.baseline": 0.93, "<metric>.difference": 0.01, "<metric>.min": 0.91,
    "blessed": 1.0, ...}`, with dots so that the dashboard sorts them next to each other.
    """
    figures: dict[str, float | None] = {
        "blessed": float(contents.blessed),
        "canary.blessed": float(contents.canary.blessed),
        **contents.task.figures().scalars(contents.figures),
    }
    for line in headlines(contents):
        figures[line.name] = line.value
        figures[f"{line.name}.baseline"] = line.baseline
        figures[f"{line.name}.difference"] = line.change
    for name, bounds in contents.evaluate.bounds.items():
        for side in ("min", "max", "max_drop", "max_rise"):
            figures[f"{name}.{side}"] = getattr(bounds, side)
    return {k: float(v) for k, v in figures.items() if v is not None and math.isfinite(v)}
