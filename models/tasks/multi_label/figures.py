"""Figures from a multi-label classifier's predictions: decisions of each label, and the worst rows. Imports only NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.tasks.class_counts import ClassCounts, f1, macro, micro_f1
from models.tasks.multi_label.decisions import tuples
from models.tasks.multi_label.facts import as_label
from models.tasks.objective import Constants
from models.tasks.sections import Cell, Judged, Name, Section, Share, Table, shortened

MISTAKES_NOTE = (
    "Rows whose labels differ from those that the model answers with, the most certain wrong decisions first. "
    "Texts of the data are shown; report.mistakes sets how many."
)
_LABELS_SHOWN = 100  # the weakest
_TINY = 1e-7


@dataclass(frozen=True)
class Figures:
    """Counts by label, each [labels]: `labelled` and `predicted` rows, and rows with `both`."""

    classes: tuple[str, ...]
    thresholds: np.ndarray
    labelled: np.ndarray
    predicted: np.ndarray
    both: np.ndarray
    labels_per_row: float | None
    answers_per_row: float | None


@dataclass(frozen=True)
class Mistake:
    """A row that the model gets wrong; `loss` is that of its worst decision."""

    texts: tuple[str, ...]
    label: str
    missed: tuple[tuple[str, float], ...]  # with their probability
    added: tuple[tuple[str, float], ...]
    loss: float


def targets(rows: Sequence[Sequence[Any]], classes: Sequence[str]) -> np.ndarray:
    """`[[b"b", b"a"], []], ["a", "b"] -> [(0, 1), ()]`, the label ids of each row, object [rows]."""
    place = {label: i for i, label in enumerate(classes)}
    return tuples([place[x] for x in map(as_label, values) if x in place] for values in rows)


def measure(
    metric: str, labels: np.ndarray, probabilities: np.ndarray, constants: Constants | None = None
) -> float:
    """One of the `EXPORT_METRICS` of `facts`, of the labels that apply: label ids, object [rows] -> number."""
    has, answered = _has(labels, probabilities.shape[-1]), _applies(probabilities, constants)
    counts = ClassCounts(*(part.sum(0).astype(np.float64) for part in (has, answered, has & answered)))
    return micro_f1(counts) if metric == "micro_f1" else macro(f1(counts), counts)


def agreement(probabilities: np.ndarray, others: np.ndarray, constants: Constants | None = None) -> float:
    """Share of rows to which the same labels apply."""
    return float((_applies(probabilities, constants) == _applies(others, constants)).all(-1).mean())


def _applies(probabilities: np.ndarray, constants: Constants | None) -> np.ndarray:
    """bool [rows, classes]."""
    return np.asarray(probabilities >= _thresholds(constants, probabilities.shape[-1]))


def figures(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    constants: Constants | None = None,
) -> Figures:
    """Decisions of each label.

    Args:
        labels: label ids of each row, object [rows].
        probabilities: float32 [rows, classes].
        classes: their names.
        constants: with "thresholds"; 0.5 without.
    """
    has, thresholds = _has(labels, len(classes)), _thresholds(constants, len(classes))
    answered = probabilities.reshape(-1, len(classes)) >= thresholds
    rows = len(has)
    return Figures(
        tuple(classes),
        thresholds,
        has.sum(0),
        answered.sum(0),
        (has & answered).sum(0),
        float(has.sum() / rows) if rows else None,
        float(answered.sum() / rows) if rows else None,
    )


def _has(ids: np.ndarray, classes: int) -> np.ndarray:
    """`[(0, 2), ()], 3 -> [[1, 0, 1], [0, 0, 0]]`, bool [rows, classes]."""
    has = np.zeros((len(ids), classes), np.bool_)
    for i, row in enumerate(ids):
        has[i, list(row)] = True
    return has


def _thresholds(constants: Constants | None, classes: int) -> np.ndarray:
    return np.broadcast_to(np.array((constants or {}).get("thresholds", 0.5), np.float32), (classes,))


def mistakes(
    texts: Sequence[Sequence[str]],
    labels: Sequence[str],
    ids: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    constants: Constants | None = None,
) -> Iterator[Mistake]:
    """The rows whose labels differ from those that the model answers with.

    Args:
        texts: the texts of each row, as they are shown.
        labels: the labels as text.
        ids: label ids of each row, object [rows].
        probabilities: float32 [rows, classes].
        classes: their names.
        constants: with "thresholds"; 0.5 without.
    """
    has, thresholds = _has(ids, len(classes)), _thresholds(constants, len(classes))
    for row, label, right, scores in zip(texts, labels, has, probabilities, strict=True):
        wrong = right != (scores >= thresholds)
        if wrong.any():
            sure = np.where(right, scores, 1.0 - scores)[wrong].min()
            missed, added = (
                tuple((classes[i], float(scores[i])) for i in np.flatnonzero(wrong & side)[:5])
                for side in (right, ~right)
            )
            yield Mistake(tuple(row), label, missed, added, float(-np.log(max(float(sure), _TINY))))


def gravity(mistake: Mistake) -> float:
    """Sort key of mistakes, the worst first."""
    return -mistake.loss


def describe_mistake(mistake: Mistake) -> Sequence[tuple[str, str, str]]:
    """`[("labelled", "ad, spam", "2 labels"), ("missed", "ad", "2.1%"), ("added", "news", "95.0%")]`."""
    sides = (("missed", mistake.missed), ("added", mistake.added))
    wrong = [(side, label, f"{share:.1%}") for side, pairs in sides for label, share in pairs]
    return [("labelled", mistake.label, f"{len(wrong)} wrong decisions shown"), *wrong]


def scalars(figures: Figures) -> dict[str, float | None]:
    """Single figures; None for one that cannot be computed."""
    return {"labels_per_row": figures.labels_per_row, "answers_per_row": figures.answers_per_row}


def dashboard(figures: Figures) -> dict[str, Any]:
    """Kubeflow draws the confusion of classes that exclude one another only."""
    del figures
    return {}


def answer_sections(figures: Figures, judged: Judged) -> Iterator[Section]:
    """Each label with its threshold, decisions and the Evaluator's metrics."""
    if figures.labels_per_row is None:
        return
    whole = figures.labelled + figures.predicted
    of_label = np.divide(2 * figures.both, whole, out=np.ones(len(whole)), where=whole > 0)
    weakest = np.argsort(of_label, kind="stable")[:_LABELS_SHOWN]
    note = (
        f"The weakest first{shortened(len(of_label), _LABELS_SHOWN)}. A label applies from its threshold on, which is chosen on "
        f"the eval split. {figures.labels_per_row:.2f} labels and {figures.answers_per_row:.2f} answers per row. "
        f"{judged.rows_note()}"
    )
    measures = list(judged.per_class)
    columns = ["label", "threshold", "labelled", "answered", "both", *measures, ""]
    rows: list[list[Cell]] = [_label_row(figures, judged, int(i), float(of_label[i])) for i in weakest]
    yield Section("By label", note, [Table(columns, rows)])


def _label_row(figures: Figures, judged: Judged, i: int, value: float) -> list[Cell]:
    counts = (figures.labelled[i], figures.predicted[i], figures.both[i])
    measured = (f"{values[i]:.3f}" if i in values else "" for values in judged.per_class.values())
    return [
        Name(figures.classes[i]),
        f"{figures.thresholds[i]:.3f}",
        *(int(n) for n in counts),
        *measured,
        Share(value),
    ]


def confidence_sections(figures: Figures, judged: Judged) -> Iterator[Section]:
    """None."""
    del figures, judged
    yield from ()
