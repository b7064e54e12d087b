"""The settings that all formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from models.section import Section
from models.tasks.task import DEFAULT_TASK, TASKS

if TYPE_CHECKING:
    MetricName = str
else:
    MetricName = Literal[tuple(name for task in TASKS.values() for name in task.facts().EXPORT_METRICS)]


class FormatSettings(Section):
    """Bounds for a format compared with the served model. Each format adds `variants`."""

    max_drop: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Maximum drop of the metric below the served model's on the eval split (absolute).",
    )
    metric: MetricName = Field(
        TASKS[DEFAULT_TASK].facts().EXPORT_METRICS[0], description="Metric that must not drop."
    )

    @model_validator(mode="after")
    def _check(self) -> FormatSettings:
        variants = list(getattr(self, "variants", ()))
        if len(set(variants)) != len(variants):
            raise ValueError(f"variants must not repeat, got {variants}")
        return self
