"""export.json: the result of each variant of a format. Imports no TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

REPORT_FILE = "export.json"
LATENCY_ROWS = (1, 32)  # batch sizes for which latency is measured


@dataclass(frozen=True)
class Figures:
    """Figures of one model on the eval split.

    `value`: value of the metric. `milliseconds`: batch size ("1", "32") -> median latency.
    """

    bytes: int
    value: float
    milliseconds: Mapping[str, float]


@dataclass(frozen=True)
class Variant:
    """One variant; it has no `figures` if it could not be tried, and a `reason` if it was rejected.

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
    """All variants of a format. `served` is the SavedModel on the same rows and token ids."""

    format: str
    metric: str
    rows: int = 0
    served: Figures | None = None
    variants: Sequence[Variant] = field(default_factory=tuple)
    version: str = ""
    destination: str = ""

    @property
    def refused(self) -> str:
        """The reasons in one line, "" if every variant was accepted."""
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
    content = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    return ExportReport(
        **content
        | {
            "served": _figures(content["served"]),
            "variants": tuple(
                Variant(**variant | {"figures": _figures(variant["figures"])})
                for variant in content["variants"]
            ),
        }
    )


def _figures(content: dict[str, Any] | None) -> Figures | None:
    return None if content is None else Figures(**content)


def scalars(report: ExportReport) -> dict[str, float]:
    """The figures for `system.Metrics`: {"float32.<metric>": 0.94, "float32.bytes": 9.1e7, ...}."""
    figures: dict[str, float | None] = {}
    if report.served is not None:
        figures |= _scalars_of("served", report.metric, report.served)
    for variant in report.variants:
        figures[f"{variant.name}.accepted"] = float(not variant.reason)
        if variant.figures is not None:
            figures |= _scalars_of(variant.name, report.metric, variant.figures)
            figures[f"{variant.name}.{report.metric}.difference"] = variant.difference
            figures[f"{variant.name}.max_probability_difference"] = variant.max_probability_difference
            figures[f"{variant.name}.agreement"] = variant.agreement
    return {name: float(value) for name, value in figures.items() if value is not None}


def _scalars_of(name: str, metric: str, figures: Figures) -> dict[str, float | None]:
    values: dict[str, float | None] = {f"{name}.{metric}": figures.value, f"{name}.bytes": figures.bytes}
    return values | {f"{name}.ms_batch_{rows}": ms for rows, ms in figures.milliseconds.items()}
