"""Sections of the report as data, which a task describes and `components/report` renders. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Judged:
    """What is known about a model in addition to the predictions of `rows_predicted` of the `rows_evaluated` rows.

    `per_class` and `per_class_baseline`: measure -> label id -> value, from the Evaluator, of the model and of the
    last blessed one. `rows_of_labels`: label -> rows of the split.
    """

    rows_predicted: int
    rows_evaluated: int
    rows_of_labels: Mapping[str, int] = field(default_factory=dict)
    per_class: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    per_class_baseline: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    def rows_note(self) -> str:
        """A sentence about the rows that were predicted."""
        if self.rows_predicted < self.rows_evaluated:
            return (
                f"From {self.rows_predicted:,} of {self.rows_evaluated:,} rows, evenly spaced over the split "
                "(report.max_rows)."
            )
        return f"From all {self.rows_predicted:,} rows."


class Name(NamedTuple):
    """A label, slice or column name in a cell; shortened if it is too long."""

    text: str


class Share(NamedTuple):
    """A share between 0 and 1, drawn as a meter."""

    value: float


Cell: TypeAlias = str | int | Name | Share


@dataclass(frozen=True)
class Table:
    """`words`: columns after the first that have words, not numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: Sequence[str] = ()


class MatrixCell(NamedTuple):
    """A count, its share of the row, and a tooltip."""

    value: int
    share: float
    tooltip: str


@dataclass(frozen=True)
class Matrix:
    """A square of counts, shaded by their shares; the diagonal has the correct predictions."""

    names: Sequence[str]
    cells: Sequence[Sequence[MatrixCell]]


@dataclass(frozen=True)
class Curve:
    """A curve in the unit square, with the diagonal of random guessing."""

    title: str
    x_label: str
    points: Sequence[Point]


class ChartBar(NamedTuple):
    """A bar over [low, high], and its tooltip."""

    low: float
    high: float
    height: float
    tooltip: str


class ChartDot(NamedTuple):
    """A dot, and its tooltip."""

    x: float
    y: float
    tooltip: str


@dataclass(frozen=True)
class Bars:
    """Bars over [0, 1], up to `top`; with `ideal`, also the diagonal on which both axes are equal."""

    title: str
    x_label: str
    bars: Sequence[ChartBar]
    dots: Sequence[ChartDot] = ()
    top: float = 1.0
    ideal: bool = False


Part: TypeAlias = Table | Matrix | Curve | Bars


@dataclass(frozen=True)
class Section:
    """A heading, a sentence below it, and parts next to each other."""

    title: str
    note: str
    parts: Sequence[Part]


def shortened(count: int, shown: int) -> str:
    """`(250, 100) -> ", 100 of 250"`; "" if all are shown."""
    return f", {shown:,} of {count:,}" if count > shown else ""


def difference(value: float | None, before: float | None) -> str:
    """`(0.75, 0.7) -> "+0.050"`; "" if one of them is missing."""
    return "" if value is None or before is None else f"{value - before:+.3f}"
