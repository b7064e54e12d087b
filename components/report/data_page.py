"""The page's section on the data: rows, labels, columns and anomalies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from components.report.contents import Contents
from components.report.data_statistics import Anomaly, SplitStatistics
from components.report.markup import Html, tag
from components.report.tables import bar, name, plain_table, section
from models.tasks.sections import shortened

_LABELS_SHOWN = 50
_COLUMNS_SHOWN = 100  # of all splits together
_ANOMALIES_SHOWN = 50


def data_section(contents: Contents) -> Html:
    """Statistics of every split, and anomalies."""
    splits = contents.splits
    rows = ", ".join(f"{split.name} {split.rows:,}" for split in splits)
    return section(
        "Data", f"Rows: {rows}.", *_labels(splits), *_columns(splits), *_anomalies(contents.anomalies)
    )


def _labels(splits: Sequence[SplitStatistics]) -> Iterator[Html]:
    labels = list(dict.fromkeys(label for split in splits for label in split.labels))
    if not labels:
        return
    rows = [[name(label), *(_count(split, label) for split in splits)] for label in labels[:_LABELS_SHOWN]]
    yield tag("h3", f"Labels{shortened(len(labels), _LABELS_SHOWN)}")
    yield plain_table(["label", *(split.name for split in splits)], rows)


def _count(split: SplitStatistics, label: str) -> list[Html | str]:
    count = split.labels.get(label, 0)
    share = count / split.rows if split.rows else 0.0
    return [f"{count:,} ({share:.1%})", bar(share)]


def _columns(splits: Sequence[SplitStatistics]) -> Iterator[Html]:
    rows = [
        [
            split.name,
            name(column.name),
            column.kind,
            f"{column.missing:,}",
            "" if column.distinct is None else f"{column.distinct:,}",
            column.facts,
        ]
        for split in splits
        for column in split.columns
    ]
    heads = ["split", "column", "kind", "missing", "distinct", "values"]
    yield tag("h3", f"Columns{shortened(len(rows), _COLUMNS_SHOWN)}")
    yield plain_table(heads, rows[:_COLUMNS_SHOWN], ["column", "kind", "values"])


def _anomalies(anomalies: Sequence[Anomaly]) -> Iterator[Html]:
    yield tag("h3", f"Anomalies{shortened(len(anomalies), _ANOMALIES_SHOWN)}")
    if not anomalies:
        yield tag(
            "p", "None: the data conforms to the schema and the data gate found no problem.", class_="soft"
        )
        return
    head = tag("tr", (tag("th", column, class_="left") for column in ("severity", "split", "column", "what")))
    rows = [
        tag(
            "tr",
            tag("td", anomaly.severity, class_="bad" if anomaly.severity == "error" else "warn"),
            tag("td", anomaly.split, class_="left"),
            tag("td", name(anomaly.column), class_="left"),
            tag("td", anomaly.what, class_="words"),
        )
        for anomaly in anomalies[:_ANOMALIES_SHOWN]
    ]
    yield tag("div", tag("table", tag("thead", head), tag("tbody", rows)), class_="scroll")
