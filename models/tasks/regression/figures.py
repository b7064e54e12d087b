"""Figures from predicted numbers: the error by range of the target, and the worst rows. Imports only NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from models.tasks.objective import Constants
from models.tasks.regression.errors import MEASURES, mae, rmse
from models.tasks.regression.facts import label_text
from models.tasks.sections import Cell, Judged, Section, Table

MISTAKES_NOTE = (
    "Rows whose predicted number is farthest from their own: the model has not learned them, or they are mislabelled. "
    "Texts of the data are shown; report.mistakes sets how many."
)
_RANGES = 8
_SHARES = (50, 90, 99)


class Range(NamedTuple):
    """Rows with a target in [low, high]."""

    low: float
    high: float
    rows: int
    mean: float  # of the predicted numbers
    mae: float
    rmse: float


@dataclass(frozen=True)
class Figures:
    """`ranges` have about as many rows each. `errors`: share of rows in percent -> their largest absolute error."""

    ranges: tuple[Range, ...]
    errors: dict[int, float]
    bias: float | None  # mean of predicted number minus target


@dataclass(frozen=True)
class Mistake:
    """A row with its texts, target and predicted number."""

    texts: tuple[str, ...]
    label: str
    value: float
    off: float


def targets(rows: Sequence[Sequence[Any]], classes: Sequence[str]) -> np.ndarray:
    """`[[4.5], []] -> [4.5, nan]`, float32 [rows]."""
    del classes
    return np.array([values[0] if values else np.nan for values in rows], np.float32)


def measure(
    metric: str, labels: np.ndarray, probabilities: np.ndarray, constants: Constants | None = None
) -> float:
    """A metric of the Evaluator: targets and values float32 [rows] -> number."""
    del constants
    return MEASURES[metric](labels.astype(np.float64), probabilities.astype(np.float64))


def agreement(probabilities: np.ndarray, others: np.ndarray, constants: Constants | None = None) -> float:
    """Share of rows with the same number, to four digits."""
    del constants
    return float(np.isclose(probabilities, others, rtol=1e-4, atol=1e-6).mean())


def figures(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    constants: Constants | None = None,
) -> Figures:
    """Errors of the rows that have a target: targets and values float32 [rows]."""
    del classes, constants
    known = ~np.isnan(labels)
    target = labels[known].astype(np.float64)
    value = probabilities.reshape(-1)[known].astype(np.float64)
    if not target.size:
        return Figures((), {}, None)
    off = np.abs(value - target)
    errors = {share: float(np.percentile(off, share)) for share in _SHARES}
    return Figures(tuple(_ranges(target, value)), errors, float((value - target).mean()))


def _ranges(target: np.ndarray, value: np.ndarray) -> Iterator[Range]:
    edges = np.unique(np.quantile(target, np.linspace(0, 1, _RANGES + 1)))
    place = np.clip(np.searchsorted(edges, target, side="right") - 1, 0, max(0, len(edges) - 2))
    for i in np.unique(place):
        t, v = target[place == i], value[place == i]
        yield Range(float(t.min()), float(t.max()), len(t), float(v.mean()), mae(t, v), rmse(t, v))


def mistakes(
    texts: Sequence[Sequence[str]],
    labels: Sequence[str],
    ids: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    constants: Constants | None = None,
) -> Iterator[Mistake]:
    """The rows that have a target and another predicted number.

    Args:
        texts: the texts of each row, as they are shown.
        labels: the targets as text.
        ids: the targets, float32 [rows].
        probabilities: the predicted numbers, float32 [rows].
        classes, constants: not used.
    """
    del classes, constants
    for row, label, target, value in zip(texts, labels, ids, probabilities.reshape(-1), strict=True):
        off = abs(float(value) - float(target))
        if off > 0.0:
            yield Mistake(tuple(row), label, float(value), off)


def gravity(mistake: Mistake) -> float:
    """Sort key of mistakes, the worst first."""
    return -mistake.off


def describe_mistake(mistake: Mistake) -> Sequence[tuple[str, str, str]]:
    """`[("labelled", "4.5", ""), ("predicted", "2.1", "off by 2.4")]`."""
    return [
        ("labelled", mistake.label, ""),
        ("predicted", label_text([mistake.value]), f"off by {mistake.off:.4g}"),
    ]


def scalars(figures: Figures) -> dict[str, float | None]:
    """Single figures; None for one that cannot be computed."""
    return {"bias": figures.bias, "median_absolute_error": figures.errors.get(50)}


def dashboard(figures: Figures) -> dict[str, Any]:
    """Kubeflow draws classification metrics only."""
    del figures
    return {}


def answer_sections(figures: Figures, judged: Judged) -> Iterator[Section]:
    """The error by range of the target."""
    if not figures.ranges:
        return
    shares = ", ".join(f"{share} % of the rows within {off:.4g}" for share, off in figures.errors.items())
    note = (
        f"Absolute error: {shares}. Mean of prediction minus target {figures.bias:.4g}. {judged.rows_note()}"
    )
    rows: list[list[Cell]] = [
        [f"{r.low:.4g} to {r.high:.4g}", r.rows, f"{r.mean:.4g}", f"{r.mae:.4g}", f"{r.rmse:.4g}"]
        for r in figures.ranges
    ]
    table = Table(["target", "rows", "mean prediction", "MAE", "RMSE"], rows)
    yield Section("Error by target", note, [table])


def confidence_sections(figures: Figures, judged: Judged) -> Iterator[Section]:
    """None: the model does not say how sure it is."""
    del figures, judged
    yield from ()
