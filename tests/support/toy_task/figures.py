"""Figures from scores: how far they are off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from models.tasks.objective import Constants
from models.tasks.sections import Judged, Section, Table

MISTAKES_NOTE = "Rows whose score is off by more than 1."


class Mistake(NamedTuple):
    texts: tuple[str, ...]
    label: str
    score: float
    off: float


def targets(rows: Sequence[Sequence[Any]], classes: Sequence[str]) -> np.ndarray:
    del classes
    return np.array([values[0] if values else np.nan for values in rows], np.float32)


def measure(
    metric: str, labels: np.ndarray, probabilities: np.ndarray, constants: Constants | None = None
) -> float:
    del metric, constants
    return float(np.mean((probabilities[:, 0] - labels) ** 2))


def agreement(probabilities: np.ndarray, others: np.ndarray, constants: Constants | None = None) -> float:
    del constants
    return float(np.isclose(probabilities, others, atol=0.01).mean())


def figures(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    constants: Constants | None = None,
) -> float:
    del classes, constants
    return float(np.abs(probabilities[:, 0] - labels).mean())


def mistakes(
    texts: Sequence[Sequence[str]],
    labels: Sequence[str],
    ids: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    constants: Constants | None = None,
) -> Iterator[Mistake]:
    del classes, constants
    for row, label, target, score in zip(texts, labels, ids, probabilities[:, 0], strict=True):
        if abs(score - target) > 1:
            yield Mistake(tuple(row), label, float(score), abs(float(score - target)))


def gravity(mistake: Mistake) -> float:
    return -mistake.off


def describe_mistake(mistake: Mistake) -> Sequence[tuple[str, str, str]]:
    return [
        ("labelled", mistake.label, ""),
        ("predicted", f"{mistake.score:.2f}", f"off by {mistake.off:.2f}"),
    ]


def scalars(figures: float) -> dict[str, float | None]:
    return {"mean_error": figures}


def dashboard(figures: float) -> dict[str, Any]:
    del figures
    return {}


def answer_sections(figures: float, judged: Judged) -> Iterator[Section]:
    yield Section(
        "Errors",
        judged.rows_note(),
        [Table(["figure", "value"], [["mean error", f"{figures:.3f}"]])],
    )


def confidence_sections(figures: float, judged: Judged) -> Iterator[Section]:
    del figures, judged
    yield from ()
