"""What a task's figures hand to the report: sections as data, which `components/report` draws. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Judged:
    """What is known of a model beside the predictions of `rows_predicted` of the `rows_evaluated` rows.

    `per_class` and `per_class_baseline`: measure -> label id -> value, by the Evaluator, of the model and of the
    last blessed one. `rows_of_labels`: label -> rows of the split.
    """

    rows_predicted: int
    rows_evaluated: int
    rows_of_labels: Mapping[str, int] = field(default_factory=dict)
    per_class: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    per_class_baseline: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    def rows_told(self) -> str:
        """A sentence on the rows that were predicted."""
        if self.rows_predicted < self.rows_evaluated:
            return (
                f"From {self.rows_predicted:,} of {self.rows_evaluated:,} rows, spread evenly over the split "
                "(report.max_rows)."
            )
        return f"From all {self.rows_predicted:,} rows."


class Name(NamedTuple):
    """A label, a slice or a column in a cell: cut where it is too long."""

    text: str


class Share(NamedTuple):
    """A share of 1, drawn as a meter."""

    value: float


Cell: TypeAlias = str | int | Name | Share


@dataclass(frozen=True)
class Table:
    """`words`: columns beside the first that hold words, not numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: Sequence[str] = ()


class MatrixCell(NamedTuple):
    """A count, the share of its row that it is, and what it says in words."""

    value: int
    share: float
    told: str


@dataclass(frozen=True)
class Matrix:
    """A square of counts, shaded by their shares; on the diagonal they are right."""

    names: Sequence[str]
    cells: Sequence[Sequence[MatrixCell]]


@dataclass(frozen=True)
class Curve:
    """A line in the unit square, over the line of guessing."""

    title: str
    x_label: str
    points: Sequence[Point]


class ChartBar(NamedTuple):
    """A bar over [low, high], and what it says in words."""

    low: float
    high: float
    height: float
    told: str


class ChartDot(NamedTuple):
    """A dot, and what it says in words."""

    x: float
    y: float
    told: str


@dataclass(frozen=True)
class Bars:
    """Bars over [0, 1], up to `top`; with `ideal`, over the line where both sides are equal."""

    title: str
    x_label: str
    bars: Sequence[ChartBar]
    dots: Sequence[ChartDot] = ()
    top: float = 1.0
    ideal: bool = False


Part: TypeAlias = Table | Matrix | Curve | Bars


@dataclass(frozen=True)
class Section:
    """A heading, a sentence below it, and parts beside each other."""

    title: str
    note: str
    parts: Sequence[Part]


def shortened(count: int, shown: int) -> str:
    """`(250, 100) -> ", 100 of 250"`; nothing when all are shown."""
    return f", {shown:,} of {count:,}" if count > shown else ""


def difference(value: float | None, before: float | None) -> str:
    """`(0.75, 0.7) -> "+0.050"`; nothing where one of them is missing."""
    return "" if value is None or before is None else f"{value - before:+.3f}"
