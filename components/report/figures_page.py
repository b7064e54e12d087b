"""The page's sections on the model's figures: confusion matrix, classes, slices, calibration, ROC curve."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from components.evaluator.evaluation import missing_slices
from components.report.charts import confidence_chart, reliability_chart, roc_chart
from components.report.classification import ConfusionMatrix, folded
from components.report.contents import Contents
from components.report.markup import Child, Html, tag
from components.report.tables import bar, name, number, plain_table, section, shortened

_ROWS_SHOWN = 100  # of classes and of slices: the weakest
_CONFUSIONS_SHOWN = 8
_MANY_CLASSES = 7  # from here on, the matrix has its column names upright
_SLICE_METRICS = ("accuracy", "macro_f1", "example_count")


def confusion_section(contents: Contents) -> Html:
    """The matrix, shaded by the share of the label, and the cells that count most."""
    matrix = folded(contents.matrix)
    counts, totals = matrix.counts, matrix.counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    many = len(matrix.classes) >= _MANY_CLASSES
    head = tag("tr", tag("th"), (tag("th", name(c)) for c in matrix.classes))
    rows = [
        tag("tr", tag("th", name(label)), (_cell(matrix, shares, i, j) for j in range(len(counts))))
        for i, label in enumerate(matrix.classes)
    ]
    table = tag("table", tag("thead", head), tag("tbody", rows), class_="matrix many" if many else "matrix")
    note = f"Rows are labels, columns predictions. {_rows_told(contents)}"
    both = tag("div", tag("div", table, class_="scroll"), _confusions(contents.matrix), class_="beside")
    return section("Confusion matrix", note, both)


def _cell(matrix: ConfusionMatrix, shares: np.ndarray, i: int, j: int) -> Html:
    count = int(matrix.counts[i, j])
    if not count:
        return tag("td", "0", class_="zero")
    told = (
        f"{matrix.classes[i]} predicted as {matrix.classes[j]}: {count} rows, {shares[i, j]:.1%} of the label"
    )
    strength = 0.10 + 0.55 * float(shares[i, j])
    return tag("td", count, class_="hit" if i == j else None, style=f"--v:{strength:.2f}", title=told)


def _confusions(matrix: ConfusionMatrix) -> Html | None:
    wrong = matrix.counts.copy()
    np.fill_diagonal(wrong, 0)
    most = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSIONS_SHOWN]
    cells = [divmod(int(place), len(wrong)) for place in most if wrong.flat[place]]
    rows: list[list[Child]] = [
        [name(matrix.classes[i]), name(matrix.classes[j]), int(wrong[i, j])] for i, j in cells
    ]
    if not rows:
        return None
    return tag("div", plain_table(["most frequent mistakes", "predicted as", "rows"], rows, ["predicted as"]))


def _rows_told(contents: Contents) -> str:
    if contents.rows_predicted < contents.rows_evaluated:
        return (
            f"From {contents.rows_predicted:,} of {contents.rows_evaluated:,} rows, spread evenly over the split "
            "(report.max_rows)."
        )
    return f"From all {contents.rows_predicted:,} rows."


def classes_section(contents: Contents) -> Html:
    """Precision, recall and F1 of each class, by the Evaluator."""
    per_class = contents.evaluation.per_class
    measures = list(per_class)
    last = per_class[measures[-1]]
    weakest = sorted(last, key=lambda i: last[i])[:_ROWS_SHOWN]
    before = contents.evaluation.per_class_baseline.get(measures[-1], {})
    changes = [f"change of {measures[-1]}"] if before else []
    note = f"By the Evaluator, the weakest first{shortened(len(last), _ROWS_SHOWN)}."
    rows = [_class_row(contents, i, before) for i in weakest]
    return section("By class", note, plain_table(["class", "rows", *measures, *changes, ""], rows))


def _class_row(contents: Contents, class_id: int, before: Mapping[int, float]) -> list[Child]:
    classes, measures = contents.matrix.classes, list(contents.evaluation.per_class.values())
    label = classes[class_id] if class_id < len(classes) else str(class_id)
    value = measures[-1][class_id]
    return [
        name(label),
        f"{contents.rows_of_labels[label]:,}" if label in contents.rows_of_labels else "",
        *(f"{measure[class_id]:.3f}" if class_id in measure else "" for measure in measures),
        *([_difference(value, before.get(class_id))] if before else []),
        bar(value),
    ]


def slices_section(contents: Contents) -> Html:
    """Metrics of each slice, by the Evaluator."""
    slices, before = contents.evaluation.slices, contents.evaluation.slices_baseline
    metrics = [m for m in _SLICE_METRICS if any(m in values for values in slices.values())]
    weakest = sorted(slices, key=lambda key: _sortable(slices[key].get("accuracy")))[:_ROWS_SHOWN]
    changes = ["change of accuracy"] if before else []
    note = f"By the Evaluator, the weakest first{shortened(len(slices), _ROWS_SHOWN)}."
    note += "".join(f" {missing}." for missing in missing_slices(contents.evaluation, contents.evaluate))
    rows = [
        [
            name(key),
            *(number(m, slices[key][m]) if m in slices[key] else "" for m in metrics),
            *(_difference(slices[key].get("accuracy"), before.get(key, {}).get("accuracy")) for _ in changes),
            bar(slices[key].get("accuracy", 0.0)),
        ]
        for key in weakest
    ]
    return section("By slice", note, plain_table(["slice", *metrics, *changes, ""], rows))


def _difference(value: float | None, before: float | None) -> str:
    return "" if value is None or before is None else f"{value - before:+.3f}"


def _sortable(value: float | None) -> float:
    return math.inf if value is None or math.isnan(value) else value


def calibration_section(contents: Contents) -> Html:
    """Confidence against accuracy."""
    assert contents.calibration is not None
    bins, error = contents.calibration.bins, contents.calibration.error
    sure = sum(b.rows * b.confidence for b in bins) / sum(b.rows for b in bins)
    right = sum(b.rows * b.accuracy for b in bins) / sum(b.rows for b in bins)
    word = "more" if sure > right else "less"
    note = (
        f"On average the model is {sure:.1%} sure and {right:.1%} right: {word} sure than it should be by "
        f"{abs(sure - right):.1%}. Expected calibration error {error:.4f}. Bars are accuracy, dots stand at the mean "
        f"confidence; on the dashed line the two are equal. {_rows_told(contents)}"
    )
    charts = tag("div", reliability_chart(bins), confidence_chart(bins), class_="charts")
    return section("Calibration", note, charts)


def roc_section(contents: Contents) -> Html:
    """The ROC curve of two classes."""
    assert contents.roc is not None
    note = f"Positive is {contents.roc.positive}. Area under the curve {contents.roc.area:.4f}."
    return section("ROC curve", note, tag("div", roc_chart(contents.roc.points), class_="charts"))
