"""export.json: what came of each variant of a format. No TensorFlow here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

REPORT_FILE = "export.json"
LATENCY_ROWS = (1, 32)  # rows of a batch whose latency is measured


@dataclass(frozen=True)
class Figures:
    """One model on the eval split.

    `value`: of the metric. `milliseconds`: rows of a batch ("1", "32") -> median latency.
    """

    bytes: int
    value: float
    milliseconds: Mapping[str, float]


@dataclass(frozen=True)
class Variant:
    """One variant; without `figures` it could not be tried, with a `reason` it was refused.

    `difference`: metric minus that of the served model. `max_probability_difference`: largest absolute
    difference of a probability. `agreement`: share of rows with the same label.
    """

    name: str
    reason: str = ""
    figures: Figures | None = None
    difference: float | None = None
    max_probability_difference: float | None = None
    agreement: float | None = None


@dataclass(frozen=True)
class ExportReport:
    """All variants of a format. `served` is the SavedModel on the same rows and the same token ids."""

    format: str
    metric: str
    rows: int = 0
    served: Figures | None = None
    variants: Sequence[Variant] = field(default_factory=tuple)
    version: str = ""
    destination: str = ""

    @property
    def refused(self) -> str:
        """The reasons in one line, "" when every variant was accepted."""
        return "; ".join(f"{self.format} {v.name}: {v.reason}" for v in self.variants if v.reason)

    @property
    def accepted(self) -> list[str]:
        """Names of the variants that were shipped."""
        return [variant.name for variant in self.variants if not variant.reason]


def write_report(folder: Path, report: ExportReport) -> None:
    """Writes export.json."""
    text = json.dumps(asdict(report), indent=2, allow_nan=False)
    (folder / REPORT_FILE).write_text(text + "\n", encoding="utf-8")


def read_report(folder: Path) -> ExportReport:
    """Reads export.json back."""
    told = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    return ExportReport(
        **told
        | {
            "served": _figures(told["served"]),
            "variants": tuple(
                Variant(**variant | {"figures": _figures(variant["figures"])}) for variant in told["variants"]
            ),
        }
    )


def _figures(told: dict[str, Any] | None) -> Figures | None:
    return None if told is None else Figures(**told)


def scalars(report: ExportReport) -> dict[str, float]:
    """The figures for `system.Metrics`: {"float32.<metric>": 0.94, "float32.bytes": 9.1e7, ...}."""
    figures: dict[str, float | None] = {}
    if report.served is not None:
        figures |= _told("served", report.metric, report.served)
    for variant in report.variants:
        figures[f"{variant.name}.accepted"] = float(not variant.reason)
        if variant.figures is not None:
            figures |= _told(variant.name, report.metric, variant.figures)
            figures[f"{variant.name}.{report.metric}.difference"] = variant.difference
            figures[f"{variant.name}.max_probability_difference"] = variant.max_probability_difference
            figures[f"{variant.name}.agreement"] = variant.agreement
    return {name: float(value) for name, value in figures.items() if value is not None}


def _told(name: str, metric: str, figures: Figures) -> dict[str, float | None]:
    told: dict[str, float | None] = {f"{name}.{metric}": figures.value, f"{name}.bytes": figures.bytes}
    return told | {f"{name}.ms_batch_{rows}": ms for rows, ms in figures.milliseconds.items()}
