"""canary.json: the canary's figures and reasons. Plain Python, so that reading it is fast."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

REPORT_FILE = "canary.json"  # in the blessing's folder


@dataclass(frozen=True)
class CanaryReport:
    """The trial on the model server: {"blessed": true, "reasons": [], "figures": {"p99_ms": 11.2, ...}}.

    If both reasons and figures are missing, there was no trial.
    """

    blessed: bool
    reasons: Sequence[str] = ()
    figures: Mapping[str, float] | None = None


def write_canary_report(folder: Path, report: CanaryReport) -> None:
    """Writes canary.json."""
    (folder / REPORT_FILE).write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")


def read_canary_report(folder: Path) -> CanaryReport:
    """Reads canary.json back."""
    return CanaryReport(**json.loads((folder / REPORT_FILE).read_text(encoding="utf-8")))
