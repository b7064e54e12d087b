"""The config's `evaluate` section."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from models.errors import UsageError
from models.own_parts import OwnPath, is_own
from models.section import Section
from models.tasks import task
from models.tasks.metric import Metric
from models.tasks.task import DEFAULT_TASK, TASKS, every_metric

if TYPE_CHECKING:
    MetricName = str
    MeasureName = str
else:
    MetricName = Literal[tuple(every_metric())] | OwnPath
    MeasureName = Literal[tuple(dict.fromkeys(m for task in TASKS.values() for m in task.facts().PER_CLASS))]
_MEASURE = Metric("measure of a class")
_LOWER_IS_BETTER = ", ".join(name for name, known in every_metric().items() if known.lower_is_better)


class ThresholdSettings(Section):
    """Bounds of a metric for the model to be blessed. Bounds are inclusive."""

    min: float | None = Field(None, description="Minimum value.")
    max: float | None = Field(None, description="Maximum value.")
    max_drop: float | None = Field(
        None, ge=0, description="Maximum drop below the last blessed model's value (absolute)."
    )
    max_rise: float | None = Field(
        None,
        ge=0,
        description=f"Maximum rise above it, for {_LOWER_IS_BETTER}, of which lower values are better.",
    )

    @property
    def max_worse(self) -> float | None:
        """Maximum difference to the last blessed model, in the worse direction."""
        return self.max_drop if self.max_rise is None else self.max_rise

    @model_validator(mode="after")
    def _check(self) -> ThresholdSettings:
        if self.min is None and self.max is None and self.max_worse is None:
            raise ValueError("give at least one of min, max, max_drop and max_rise")
        if self.max_drop is not None and self.max_rise is not None:
            raise ValueError(
                f"give either max_drop or max_rise, got max_drop {self.max_drop} and max_rise {self.max_rise}"
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min must not be above max, got min {self.min} and max {self.max}")
        return self


def _interval(lowest: float, highest: float) -> str:
    """`(0, 1) -> "in [0, 1]"`, `(0, inf) -> "0 or more"`, `(-inf, 1) -> "1 or less"`."""
    if math.isinf(highest):
        return f"{lowest:g} or more"
    return f"{highest:g} or less" if math.isinf(lowest) else f"in [{lowest:g}, {highest:g}]"


def class_metric_name(measure: str, label: str) -> str:
    """`("f1", "spam") -> "f1 of spam"`."""
    return f"{measure} of {label}"


def _check_bounds(key: str, bounds: ThresholdSettings, known: Metric) -> None:
    """Raises ValueError for bounds outside the range of a metric, or in the wrong direction."""
    if bounds.max_rise is not None and not known.lower_is_better:
        raise ValueError(f"{key}: max_rise is only for {_LOWER_IS_BETTER}; use max_drop")
    for side in ("min", "max", "max_drop"):
        value = getattr(bounds, side)
        lowest = 0.0 if side == "max_drop" else known.lowest
        highest = known.highest - known.lowest if side == "max_drop" else known.highest
        if value is not None and not lowest <= value <= highest:
            raise ValueError(f"{key}.{side} must be {_interval(lowest, highest)}, got {value}")


class SliceSettings(Section):
    """One slicing of the evaluation: a slice for every value of `columns`, optionally with thresholds."""

    columns: list[str] = Field(min_length=1, description="Raw columns whose values define the slices.")
    thresholds: dict[MetricName, ThresholdSettings] = Field(
        default_factory=dict, description="Metric -> bounds that every slice must meet."
    )


class ClassSettings(Section):
    """Bounds of single labels."""

    labels: list[str] = Field(min_length=1, description="Labels of the label list.")
    thresholds: dict[MeasureName, ThresholdSettings] = Field(
        min_length=1, description="Measure -> bounds that each of the labels must meet."
    )


class EvaluateSettings(Section):
    """TFMA on the signature that will be served, and the bounds for a blessing."""

    split: str = Field(
        "test",
        description="Split that the model is evaluated on. Not `train`; `eval` selects the best weights, so `test` is fairer.",
    )
    metrics: list[MetricName] = Field(
        list(TASKS[DEFAULT_TASK].facts().DEFAULT_METRICS),
        min_length=1,
        description="Metrics to report in addition to those with thresholds; also per class where possible. Or your classes, "
        "own_parts.MODULE.NAME: docs/own_parts.md.",
    )
    thresholds: dict[MetricName, ThresholdSettings] = Field(
        min_length=1, description="Metric -> bounds. At least one metric needs min or max."
    )
    slices: list[SliceSettings] = Field(
        default_factory=list, description="Slices to report and, with thresholds, to gate."
    )

    classes: list[ClassSettings] = Field(
        default_factory=list, description="Bounds of single labels, on the whole split."
    )

    @property
    def class_bounds(self) -> dict[tuple[str, str], ThresholdSettings]:
        """(measure, label) -> bounds."""
        return {
            (measure, label): bounds
            for group in self.classes
            for label in group.labels
            for measure, bounds in group.thresholds.items()
        }

    @property
    def bounds(self) -> dict[str, ThresholdSettings]:
        """Name of a metric of the whole split -> bounds; those of a label have names such as `f1 of spam`."""
        of_classes = {class_metric_name(*key): bounds for key, bounds in self.class_bounds.items()}
        return {**self.thresholds, **of_classes}

    def compares(self) -> bool:
        """Whether a threshold compares the candidate with the last blessed model."""
        everywhere = [self.bounds, *(slicing.thresholds for slicing in self.slices)]
        return any(bounds.max_worse is not None for where in everywhere for bounds in where.values())

    @model_validator(mode="after")
    def _sliced_once(self) -> EvaluateSettings:
        seen: list[set[str]] = []
        for slicing in self.slices:
            if len(set(slicing.columns)) != len(slicing.columns) or set(slicing.columns) in seen:
                raise ValueError(
                    f"slices name the columns {slicing.columns} twice; remove one, or merge their thresholds"
                )
            seen.append(set(slicing.columns))
        return self

    def names(self) -> list[str]:
        """All metrics that the section names, each once."""
        sliced = (name for slicing in self.slices for name in slicing.thresholds)
        return list(dict.fromkeys([*self.metrics, *self.thresholds, *sliced]))

    @model_validator(mode="after")
    def _loaded(self) -> EvaluateSettings:
        for name in filter(is_own, self.names()):
            try:
                task.metric(name)
            except UsageError as error:
                raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _classes_once(self) -> EvaluateSettings:
        pairs = [(m, label) for group in self.classes for label in group.labels for m in group.thresholds]
        twice = next((pair for pair in pairs if pairs.count(pair) > 1), None)
        if twice:
            raise ValueError(f"classes give {class_metric_name(*twice)} twice; remove one")
        for group in self.classes:
            for measure, bounds in group.thresholds.items():
                _check_bounds(f"classes.{measure}", bounds, _MEASURE)
        return self

    @model_validator(mode="after")
    def _bounded(self) -> EvaluateSettings:
        if all(bounds.min is None and bounds.max is None for bounds in self.thresholds.values()):
            raise ValueError(
                "thresholds must have min or max for at least one metric, because max_drop and max_rise do not apply "
                f"to a first model; got {sorted(self.thresholds)}"
            )
        for where in [self.thresholds, *(s.thresholds for s in self.slices)]:
            for metric, bounds in where.items():
                _check_bounds(f"thresholds.{metric}", bounds, task.metric(metric))
        return self
