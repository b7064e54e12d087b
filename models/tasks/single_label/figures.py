"""Figures from a classifier's predictions: confusion matrix, ROC curve, calibration, mistakes. Imports only NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from models.tasks.objective import Constants
from models.tasks.sections import (
    Bars,
    Cell,
    ChartBar,
    ChartDot,
    Curve,
    Judged,
    Matrix,
    MatrixCell,
    Name,
    Section,
    Share,
    Table,
    difference,
    shortened,
)
from models.tasks.single_label.facts import label_text

NO_LABEL = -1  # label id of a row whose label is not one of the model's classes
MATRIX_CLASSES = 40  # Kubeflow draws 700 pixels, too few for more classes, and metadata grows with the square
OTHERS = "(all others)"
MISTAKES_NOTE = (
    "Rows whose own label got the lowest probability: the model has not learned them, or they are mislabelled. "
    "Texts of the data are shown; report.mistakes sets how many."
)
_ROC_POINTS = 200
_BINS = 10
_CLASSES_SHOWN = 100  # the weakest
_CONFUSIONS_SHOWN = 8


@dataclass(frozen=True)
class ConfusionMatrix:
    """`counts` int64 [classes, classes]: row is the label, column the prediction."""

    classes: tuple[str, ...]
    counts: np.ndarray


class RocPoint(NamedTuple):
    """Rates if rows count as positive from `threshold` on."""

    threshold: float
    false_positive_rate: float
    true_positive_rate: float


@dataclass(frozen=True)
class RocCurve:
    """The curve of the second class against the first. `area` is exact; at most 200 points are kept."""

    positive: str
    points: tuple[RocPoint, ...]
    area: float


class Bin(NamedTuple):
    """Rows whose highest probability is in [low, high); the last bin includes 1.0."""

    low: float
    high: float
    rows: int
    confidence: float  # mean of the highest probability
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How well a model's confidence matches its accuracy; `error` is the expected calibration error (10 bins)."""

    bins: tuple[Bin, ...]
    error: float


@dataclass(frozen=True)
class Mistake:
    """A row that the model gets wrong; texts are shortened, and bytes that are not UTF-8 are replaced."""

    texts: tuple[str, ...]
    label: str
    predicted: str
    probability: float  # of `predicted`
    label_probability: float


@dataclass(frozen=True)
class Figures:
    """All figures except the mistakes."""

    matrix: ConfusionMatrix
    roc: RocCurve | None
    calibration: Calibration | None


# --- computing ------------------------------------------------------------------------------------


def targets(rows: Sequence[Sequence[Any]], classes: Sequence[str]) -> np.ndarray:
    """`[[b"b"], [b"x"]], ["a", "b"] -> [1, -1]`, int64 [rows]; the values are those of the label column."""
    return label_ids([label_text(values) for values in rows], classes)


def label_ids(labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """`["b", "x"], ["a", "b"] -> [1, -1]`."""
    return np.array([classes.index(label) if label in classes else NO_LABEL for label in labels])


def figures(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    constants: Constants | None = None,
) -> Figures:
    """Confusion matrix, ROC curve and calibration.

    Args:
        labels: int64 [rows]; negative ones are left out.
        probabilities: float32 [rows, classes].
        classes: their names.
        constants: none.
    """
    del constants
    return Figures(
        confusion_matrix(labels, probabilities, classes),
        roc_curve(labels, probabilities, classes),
        calibration(labels, probabilities),
    )


def confusion_matrix(
    label_ids: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> ConfusionMatrix:
    """Counts of labels (rows) and most probable classes (columns).

    Args:
        label_ids: int64 [rows]; negative ones are left out.
        probabilities: float32 [rows, classes].
        classes: their names.
    """
    counts = np.zeros((len(classes), len(classes)), np.int64)
    known = label_ids >= 0
    np.add.at(counts, (label_ids[known], probabilities[known].argmax(axis=1)), 1)
    return ConfusionMatrix(tuple(classes), counts)


def folded(matrix: ConfusionMatrix, limit: int = MATRIX_CLASSES) -> ConfusionMatrix:
    """The matrix reduced to at most `limit` classes: those with the most mistakes, and all others as one."""
    count = len(matrix.classes)
    if count <= limit:
        return matrix
    mistakes = matrix.counts.sum(0) + matrix.counts.sum(1) - 2 * np.diag(matrix.counts)
    kept = sorted(np.argsort(-mistakes, kind="stable")[: limit - 1])
    place = np.full(count, limit - 1)
    place[kept] = np.arange(limit - 1)
    counts = np.zeros((limit, limit), np.int64)
    np.add.at(counts, (place[:, None], place[None, :]), matrix.counts)
    return ConfusionMatrix((*(matrix.classes[i] for i in kept), OTHERS), counts)


def roc_curve(label_ids: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> RocCurve | None:
    """The curve of a model with two classes; None for other models, or if a class has no row."""
    known = label_ids >= 0
    positive = label_ids[known] == 1
    if len(classes) != 2 or positive.all() or not positive.any():
        return None
    scores = probabilities[known, 1].astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    hits, alarms = np.cumsum(positive[order])[last_of_equals], np.cumsum(~positive[order])[last_of_equals]
    recall, fall_out = np.append(0, hits / positive.sum()), np.append(0, alarms / (~positive).sum())
    # No row is positive at the first point; its threshold is finite because JSON has no infinity.
    thresholds = np.append(1.0, scores[order][last_of_equals])
    kept = np.unique(np.linspace(0, len(recall) - 1, min(_ROC_POINTS, len(recall))).astype(int))
    points = tuple(RocPoint(float(thresholds[i]), float(fall_out[i]), float(recall[i])) for i in kept)
    return RocCurve(classes[1], points, float(np.trapezoid(recall, fall_out)))


def calibration(label_ids: np.ndarray, probabilities: np.ndarray) -> Calibration | None:
    """Confidence and accuracy in ten equal bins, without empty ones; None if there are no rows."""
    known = label_ids >= 0
    if not known.any():
        return None
    confidence = probabilities[known].max(axis=1).astype(np.float64)
    right = probabilities[known].argmax(axis=1) == label_ids[known]
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    bins = tuple(
        Bin(
            i / _BINS,
            (i + 1) / _BINS,
            int(inside.sum()),
            float(confidence[inside].mean()),
            float(right[inside].mean()),
        )
        for i in range(_BINS)
        if (inside := place == i).any()
    )
    error = sum(b.rows * abs(b.confidence - b.accuracy) for b in bins) / len(confidence)
    return Calibration(bins, float(error))


def mistakes(
    texts: Sequence[Sequence[str]],
    labels: Sequence[str],
    ids: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    constants: Constants | None = None,
) -> Iterator[Mistake]:
    """The rows whose most probable class is not their label, without rows whose label is not a class.

    Args:
        texts: the texts of each row, as they are shown.
        labels: the labels as in the data.
        ids: the same labels as ids, from `label_ids`.
        probabilities: float32 [rows, classes].
        classes: their names.
        constants: none.
    """
    del constants
    for row_texts, label, label_id, row in zip(texts, labels, ids, probabilities, strict=True):
        best = int(row.argmax())
        if label_id not in (NO_LABEL, best):
            yield Mistake(tuple(row_texts), label, classes[best], float(row[best]), float(row[label_id]))


def gravity(mistake: Mistake) -> float:
    """Sort key of mistakes, the worst first: the probability of the row's own label."""
    return mistake.label_probability


# --- the gate of the exports ------------------------------------------------------------------------


def measure(
    metric: str, labels: np.ndarray, probabilities: np.ndarray, constants: Constants | None = None
) -> float:
    """One of the `EXPORT_METRICS` of `facts`.

    Args:
        metric: its name.
        labels: label ids, int32 [rows].
        probabilities: float32 [rows, classes].
        constants: none.
    """
    del constants
    return _MEASURES[metric](labels, probabilities.argmax(-1))


def agreement(probabilities: np.ndarray, others: np.ndarray, constants: Constants | None = None) -> float:
    """Share of rows with the same most probable class."""
    del constants
    return float((probabilities.argmax(-1) == others.argmax(-1)).mean())


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Share of rows with the correct label.

    >>> accuracy(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    0.75
    """
    return float((labels == predicted).mean())


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of 2 tp / (2 tp + fp + fn) over the classes that occur.

    >>> round(macro_f1(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])), 4)
    0.7778
    """
    scores = []
    for label in np.union1d(labels, predicted):
        hits = int(((labels == label) & (predicted == label)).sum())
        scores.append(2 * hits / int((labels == label).sum() + (predicted == label).sum()))
    return float(np.mean(scores))


_MEASURES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
}


# --- what the report and Kubeflow's dashboard show --------------------------------------------------


def scalars(figures: Figures) -> dict[str, float | None]:
    """Single figures; None for one that cannot be computed."""
    return {
        "calibration_error": figures.calibration.error if figures.calibration else None,
        "roc_area": figures.roc.area if figures.roc else None,
    }


def dashboard(figures: Figures) -> dict[str, Any]:
    """`confusionMatrix` and, for two classes, `confidenceMetrics`, in the form that Kubeflow's frontend reads."""
    drawn: dict[str, Any] = {"confusionMatrix": confusion_metadata(folded(figures.matrix))}
    if figures.roc is not None:
        drawn["confidenceMetrics"] = roc_metadata(figures.roc)
    return drawn


def confusion_metadata(matrix: ConfusionMatrix) -> dict[str, Any]:
    """The matrix in Kubeflow's form: rows are labels, columns predictions."""
    return {
        "annotationSpecs": [{"displayName": name} for name in matrix.classes],
        "rows": [{"row": [int(value) for value in row]} for row in matrix.counts],
    }


def roc_metadata(curve: RocCurve) -> list[dict[str, float]]:
    """The curve in Kubeflow's form: one dictionary per point."""
    return [
        {
            "confidenceThreshold": point.threshold,
            "recall": point.true_positive_rate,
            "falsePositiveRate": point.false_positive_rate,
        }
        for point in curve.points
    ]


def describe_mistake(mistake: Mistake) -> Sequence[tuple[str, str, str]]:
    """`[("labelled", "ham", "10.0%"), ("predicted", "spam", "90.0%")]`."""
    return [
        ("labelled", mistake.label, f"{mistake.label_probability:.1%}"),
        ("predicted", mistake.predicted, f"{mistake.probability:.1%}"),
    ]


def answer_sections(figures: Figures, judged: Judged) -> Iterator[Section]:
    """The confusion matrix of the predictions, and the Evaluator's metrics of each class."""
    if figures.matrix.counts.any():
        yield _confusion_section(figures.matrix, judged)
    if judged.per_class:
        yield _classes_section(figures.matrix.classes, judged)


def confidence_sections(figures: Figures, judged: Judged) -> Iterator[Section]:
    """Calibration and, for two classes, the ROC curve."""
    if figures.calibration:
        yield _calibration_section(figures.calibration, judged)
    if figures.roc:
        points = [(p.false_positive_rate, p.true_positive_rate) for p in figures.roc.points]
        note = f"Positive is {figures.roc.positive}. Area under the curve {figures.roc.area:.4f}."
        yield Section("ROC curve", note, [Curve("True positive rate", "false positive rate", points)])


def _confusion_section(whole: ConfusionMatrix, judged: Judged) -> Section:
    matrix = folded(whole)
    counts, totals = matrix.counts, matrix.counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    places = range(len(counts))
    cells = [[_matrix_cell(matrix, shares, i, j) for j in places] for i in places]
    note = f"Rows are labels, columns predictions. {judged.rows_note()}"
    return Section("Confusion matrix", note, [Matrix(matrix.classes, cells), *_confusions(whole)])


def _matrix_cell(matrix: ConfusionMatrix, shares: np.ndarray, i: int, j: int) -> MatrixCell:
    count, share = int(matrix.counts[i, j]), float(shares[i, j])
    tooltip = f"{matrix.classes[i]} predicted as {matrix.classes[j]}: {count} rows, {share:.1%} of the label"
    return MatrixCell(count, share, tooltip)


def _confusions(matrix: ConfusionMatrix) -> Iterator[Table]:
    wrong = matrix.counts.copy()
    np.fill_diagonal(wrong, 0)
    most = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSIONS_SHOWN]
    cells = [divmod(int(place), len(wrong)) for place in most if wrong.flat[place]]
    rows: list[list[Cell]] = [
        [Name(matrix.classes[i]), Name(matrix.classes[j]), int(wrong[i, j])] for i, j in cells
    ]
    if rows:
        yield Table(["most frequent mistakes", "predicted as", "rows"], rows, ["predicted as"])


def _classes_section(classes: Sequence[str], judged: Judged) -> Section:
    measures = list(judged.per_class)
    last = judged.per_class[measures[-1]]
    weakest = sorted(last, key=lambda i: last[i])[:_CLASSES_SHOWN]
    before = judged.per_class_baseline.get(measures[-1], {})
    changes = [f"change of {measures[-1]}"] if before else []
    note = f"Computed by the Evaluator, the weakest first{shortened(len(last), _CLASSES_SHOWN)}."
    rows = [_class_row(classes, judged, i, before) for i in weakest]
    return Section("By class", note, [Table(["class", "rows", *measures, *changes, ""], rows)])


def _class_row(
    classes: Sequence[str], judged: Judged, class_id: int, before: Mapping[int, float]
) -> list[Cell]:
    measures = list(judged.per_class.values())
    label = classes[class_id] if class_id < len(classes) else str(class_id)
    value = measures[-1][class_id]
    return [
        Name(label),
        f"{judged.rows_of_labels[label]:,}" if label in judged.rows_of_labels else "",
        *(f"{measure[class_id]:.3f}" if class_id in measure else "" for measure in measures),
        *([difference(value, before.get(class_id))] if before else []),
        Share(value),
    ]


def _calibration_section(calibration: Calibration, judged: Judged) -> Section:
    bins, error = calibration.bins, calibration.error
    sure = sum(b.rows * b.confidence for b in bins) / sum(b.rows for b in bins)
    right = sum(b.rows * b.accuracy for b in bins) / sum(b.rows for b in bins)
    word = "more" if sure > right else "less"
    note = (
        f"On average the model is {sure:.1%} sure and {right:.1%} right: {word} sure than it should be by "
        f"{abs(sure - right):.1%}. Expected calibration error {error:.4f}. Bars show the accuracy, dots the mean "
        f"confidence; on the dashed line the two are equal. {judged.rows_note()}"
    )
    return Section("Calibration", note, [_reliability(bins), _confidence(bins)])


def _reliability(bins: Sequence[Bin]) -> Bars:
    """Accuracy per range of confidence; on the diagonal, accuracy equals confidence."""
    bars = [ChartBar(b.low, b.high, b.accuracy, f"{_range(b)}: accuracy {b.accuracy:.3f}") for b in bins]
    dots = [ChartDot(b.confidence, b.accuracy, f"mean confidence {b.confidence:.3f}") for b in bins]
    return Bars("Accuracy by confidence", "confidence", bars, dots, ideal=True)


def _confidence(bins: Sequence[Bin]) -> Bars:
    """Number of rows per range of confidence."""
    bars = [ChartBar(b.low, b.high, b.rows, f"{_range(b)}: {b.rows:,} rows") for b in bins]
    return Bars("Rows by confidence", "confidence", bars, top=max(b.rows for b in bins) * 1.06)


def _range(b: Bin) -> str:
    return f"confidence {b.low:.1f} to {b.high:.1f}"
