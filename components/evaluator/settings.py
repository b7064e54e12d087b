"""The config's `evaluate` section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from models.section import Section
from models.tasks.task import DEFAULT_TASK, TASKS, every_metric

if TYPE_CHECKING:
    MetricName = str
else:
    MetricName = Literal[tuple(every_metric())]
_LOWER_IS_BETTER = " and ".join(name for name, known in every_metric().items() if known.lower_is_better)


class ThresholdSettings(Section):
    """What a metric must hold for the model to be blessed. Bounds are inclusive."""

    min: float | None = Field(None, description="Smallest value that passes.")
    max: float | None = Field(None, description="Largest value that passes.")
    max_drop: float | None = Field(
        None, ge=0, description="How much worse than the last blessed model it may be (absolute)."
    )
    max_rise: float | None = Field(
        None, ge=0, description=f"The same for {_LOWER_IS_BETTER}, which is worse when it is higher."
    )

    @property
    def max_worse(self) -> float | None:
        """How much worse than the last blessed model a value may be."""
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


class SliceSettings(Section):
    """One slicing of the evaluation: every value of `columns`, with thresholds of its own if given."""

    columns: list[str] = Field(min_length=1, description="Raw columns whose values make the slices.")
    thresholds: dict[MetricName, ThresholdSettings] = Field(
        default_factory=dict, description="Metric -> bounds that every slice must hold."
    )


class EvaluateSettings(Section):
    """TFMA on the signature that will be served, and the bounds that make the blessing."""

    split: str = Field(
        "test",
        description="Split that the model is judged on. Not `train`; `eval` chooses the best weights, so `test` is fairer.",
    )
    metrics: list[MetricName] = Field(
        list(TASKS[DEFAULT_TASK].facts().DEFAULT_METRICS),
        min_length=1,
        description="Metrics reported beside those that have thresholds, each also per class where it can be.",
    )
    thresholds: dict[MetricName, ThresholdSettings] = Field(
        min_length=1, description="Metric -> bounds. Without any the gate would not be one: refused."
    )
    slices: list[SliceSettings] = Field(default_factory=list, description="Slices reported and gated.")

    def compares(self) -> bool:
        """Whether a threshold holds the candidate against the last blessed model."""
        everywhere = [self.thresholds, *(slicing.thresholds for slicing in self.slices)]
        return any(bounds.max_worse is not None for where in everywhere for bounds in where.values())

    @model_validator(mode="after")
    def _sliced_once(self) -> EvaluateSettings:
        seen: list[set[str]] = []
        for slicing in self.slices:
            if len(set(slicing.columns)) != len(slicing.columns) or set(slicing.columns) in seen:
                raise ValueError(
                    f"slices name the columns {slicing.columns} twice: remove one, or merge their thresholds"
                )
            seen.append(set(slicing.columns))
        return self

    @model_validator(mode="after")
    def _bounded(self) -> EvaluateSettings:
        if all(bounds.min is None and bounds.max is None for bounds in self.thresholds.values()):
            raise ValueError(
                "thresholds must give min or max for one metric at least: with max_drop or max_rise alone there is "
                f"nothing that a first model could be held to, got {sorted(self.thresholds)}"
            )
        for where in [self.thresholds, *(s.thresholds for s in self.slices)]:
            for metric, bounds in where.items():
                known = every_metric()[metric]
                if bounds.max_rise is not None and not known.lower_is_better:
                    raise ValueError(
                        f"thresholds.{metric}: max_rise is for {_LOWER_IS_BETTER}, give max_drop"
                    )
                for side in ("min", "max", "max_drop"):
                    value = getattr(bounds, side)
                    if value is not None and not 0.0 <= value <= known.highest:
                        interval = f"in [0, {known.highest:g}]" if known.bounded else "0 or more"
                        raise ValueError(f"thresholds.{metric}.{side} must be {interval}, got {value}")
        return self
