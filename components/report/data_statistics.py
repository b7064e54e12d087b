"""Reads the outputs of StatisticsGen, ExampleValidator and the DataGate, without TFDV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from components.data_gate.report import read_gate_report

STATISTICS_FILE, ANOMALIES_FILE = "FeatureStats.pb", "SchemaDiff.pb"


@dataclass(frozen=True)
class Column:
    """One column of one split."""

    name: str
    kind: str  # text, integer, number
    missing: int  # rows without a value
    distinct: int | None  # only of text
    facts: str  # "mean length 48.1 bytes", "0 to 9, mean 4.2"


@dataclass(frozen=True)
class SplitStatistics:
    """Rows, rows of each label (most frequent first), and columns of one split."""

    name: str
    rows: int
    labels: Mapping[str, int]
    columns: Sequence[Column]


@dataclass(frozen=True)
class Anomaly:
    """A deviation from the schema, or a finding of the data gate (whose `split` is "")."""

    split: str
    column: str
    severity: str  # error, warning
    what: str


def read_statistics(folder: Path, label_column: str) -> list[SplitStatistics]:
    """Statistics of every split below `folder`, the largest first."""
    splits = []
    for file in sorted(folder.glob(f"Split-*/{STATISTICS_FILE}")):
        listed = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
        for dataset in listed.datasets[:1]:
            columns = {_name(feature): feature for feature in dataset.features}
            splits.append(
                SplitStatistics(
                    file.parent.name.removeprefix("Split-"),
                    int(dataset.num_examples),
                    _counts(columns[label_column]) if label_column in columns else {},
                    [_column(name, feature) for name, feature in columns.items()],
                )
            )
    return sorted(splits, key=lambda split: -split.rows)


def _name(feature: Any) -> str:
    return str(feature.name or ".".join(feature.path.step))


def _counts(feature: Any) -> dict[str, int]:
    buckets = feature.string_stats.rank_histogram.buckets
    return {bucket.label: int(bucket.sample_count) for bucket in buckets}


def _column(name: str, feature: Any) -> Column:
    kind = feature.WhichOneof("stats")
    common = getattr(feature, kind).common_stats if kind else None
    missing = int(common.num_missing) if common is not None else 0
    if kind == "num_stats":
        number = feature.num_stats
        integer = feature.type == statistics_pb2.FeatureNameStatistics.INT
        facts = f"{number.min:g} to {number.max:g}, mean {number.mean:.4g}"
        return Column(name, "integer" if integer else "number", missing, None, facts)
    if kind == "string_stats":
        text = feature.string_stats
        return Column(name, "text", missing, int(text.unique), f"mean length {text.avg_length:.1f} bytes")
    return Column(name, "other", missing, None, "")


def read_anomalies(folder: Path, gate_folder: Path) -> list[Anomaly]:
    """Deviations from the schema, split by split, followed by the data gate's warnings."""
    anomalies: list[Anomaly] = []
    for file in sorted(folder.glob(f"Split-*/{ANOMALIES_FILE}")):
        split = file.parent.name.removeprefix("Split-")
        anomalies += _anomalies(split, anomalies_pb2.Anomalies.FromString(file.read_bytes()))
    findings = read_gate_report(gate_folder).findings
    anomalies += [Anomaly("", "", "warning", str(finding)) for finding in findings]
    return anomalies


def _anomalies(split: str, anomalies: Any) -> Iterator[Anomaly]:
    infos = dict(anomalies.anomaly_info)
    if anomalies.HasField("dataset_anomaly_info"):
        infos["(whole split)"] = anomalies.dataset_anomaly_info
    for column, info in sorted(infos.items()):
        severity = "error" if info.severity == anomalies_pb2.AnomalyInfo.ERROR else "warning"
        yield Anomaly(split, column, severity, info.description or info.short_description)
