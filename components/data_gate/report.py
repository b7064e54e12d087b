"""report.json: the data gate's findings and rules. Plain Python, so that reading it is fast."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from models.section import Severity

REPORT_FILE = "report.json"

Rule = Literal[
    "missing_split",
    "missing_column",
    "wrong_type",
    "unknown_label",
    "repeated_label",
    "tag_count",
    "illegal_transition",
    "not_finite",
    "out_of_bounds",
    "look_alike_labels",
    "empty_text",
    "not_utf8",
    "too_few_rows",
    "schema_anomaly",
]


@dataclass(frozen=True)
class Finding:
    """One rule broken by one column of one split.

    `column` is "" for a finding about the whole split, `split` for one about the label list.
    """

    rule: Rule
    severity: Severity
    split: str
    column: str
    count: int  # rows that break the rule
    rows: int  # rows of the split
    what: str  # "have a label that is not in labels.txt", after "12 of 340 rows"
    sample: str = ""  # repr of a value, shortened
    where: str = ""  # "data_tfrecord-00000-of-00002.gz record 17"

    def __str__(self) -> str:
        if not self.split:
            return self.what
        if not self.column:
            return f"split {self.split!r}: {self.what}"
        first = ", first" if self.sample or self.where else ""
        sample = f" {self.sample}" if self.sample else ""
        at = f" at {self.where}" if self.where else ""
        place = f"split {self.split!r}, column {self.column!r}"
        return f"{place}: {self.count} of {self.rows} rows {self.what}{first}{sample}{at}"


@dataclass(frozen=True)
class GateReport:
    """`rows`: split -> rows. `settings`: the config's `data.gate` as JSON values."""

    rows: Mapping[str, int]
    findings: Sequence[Finding]
    settings: Mapping[str, Any]


def report_text(report: GateReport) -> str:
    """{"rows": {"train": 4216}, "findings": [{"rule": ..., "message": ...}], "settings": {...}}, indented."""
    findings = [asdict(finding) | {"message": str(finding)} for finding in report.findings]
    content = {"rows": dict(report.rows), "findings": findings, "settings": dict(report.settings)}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read_gate_report(folder: Path) -> GateReport:
    """Reads report.json back."""
    content = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    findings = [
        Finding(**{key: value for key, value in finding.items() if key != "message"})
        for finding in content["findings"]
    ]
    return GateReport(content["rows"], findings, content["settings"])
