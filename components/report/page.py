"""The HTML page: self-contained, without scripts, so that Kubeflow's sandboxed frame shows all of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from components.evaluator.settings import LOWER_IS_BETTER
from components.report.charts import Line, confidence_chart, line_chart, reliability_chart, roc_chart
from components.report.classification import ConfusionMatrix, folded
from components.report.contents import Contents, Headline, headlines, verdict
from components.report.data_page import data_section
from components.report.markup import Child, Html, tag
from components.report.mistakes import Mistake
from components.report.style import CSS
from components.report.tables import bar, name, number, plain_table, section, shortened

_CARDS = 4
_ROWS_SHOWN = 100  # of classes and of slices: the weakest
_CONFUSIONS_SHOWN = 8
_MANY_CLASSES = 7  # from here on, the matrix has its column names upright
# Nothing may be fetched and nothing may run, whatever a text contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(contents: Contents) -> str:
    """Returns the document; every text in it is escaped."""
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{contents.name}: report"),
        tag("style", Html(CSS)),
    ]
    body = tag("main", tag("h1", contents.name), _verdict(contents), _cards(contents), *_sections(contents))
    document = tag("html", tag("head", head), tag("body", body), lang="en")
    return f"<!doctype html>\n{document}\n"


def _sections(contents: Contents) -> Iterator[Html]:
    yield _metrics(contents)
    if contents.matrix.counts.any():
        yield _confusion(contents)
    if contents.evaluation.per_class:
        yield _classes(contents)
    if contents.evaluation.slices:
        yield _slices(contents)
    if contents.calibration:
        yield _calibration(contents)
    if contents.roc:
        yield _roc(contents)
    if contents.mistakes:
        yield _mistakes(contents)
    if contents.history.get("evaluations"):
        yield _training(contents.history)
    yield data_section(contents)
    if contents.canary.figures:
        yield _canary(contents.canary.figures)


def _verdict(contents: Contents) -> Html:
    sentence, reasons = verdict(contents)
    items = tag("ul", (tag("li", reason) for reason in reasons)) if reasons else None
    return tag(
        "div",
        tag("b", sentence),
        items,
        class_="verdict" if contents.accepted else "verdict no",
        role="status",
    )


def _cards(contents: Contents) -> Html:
    cards = []
    shares = [line for line in headlines(contents) if line.name != "example_count"]
    for line in shares[:_CARDS]:
        told = line.bounds or "no threshold"
        cards.append(
            tag(
                "div",
                tag("span", line.name),
                tag("strong", number(line.name, line.value), _mark(line.within)),
                tag("span", told if line.change is None else [_change(line), " against the last blessed"]),
                class_="card",
            )
        )
    return tag("div", cards, class_="cards")


def _mark(within: bool | None) -> Html | None:
    if within is None:
        return None
    return tag("i", "✓" if within else "✗", class_="mark good" if within else "mark bad")


def _change(line: Headline) -> Html | None:
    if line.change is None or line.name == "example_count":
        return None
    better = line.change < 0 if line.name in LOWER_IS_BETTER else line.change > 0
    style = None if abs(line.change) < 5e-5 else "good" if better else "warn"
    return tag("b", f"{line.change:+.4f}", class_=style)


def _metrics(contents: Contents) -> Html:
    compared = contents.evaluation.baseline is not None
    rows = []
    for line in headlines(contents):
        before: list[Child] = [
            "" if line.baseline is None else number(line.name, line.baseline),
            _change(line),
        ]
        rows.append(
            [
                line.name,
                number(line.name, line.value),
                *(before if compared else []),
                line.bounds,
                _mark(line.within),
            ]
        )
    columns = ["metric", "value", *(["last blessed", "change"] if compared else []), "threshold", ""]
    note = f"The whole {contents.evaluate.split} split, {contents.rows_evaluated:,} rows, by the Evaluator."
    if not compared:
        note += " There was no earlier model to compare with."
    return section("Metrics", note, plain_table(columns, rows, ["threshold"]))


def _confusion(contents: Contents) -> Html:
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
    order = [np.unravel_index(i, wrong.shape) for i in np.argsort(-wrong, axis=None, kind="stable")]
    rows: list[list[Child]] = [
        [name(matrix.classes[i]), name(matrix.classes[j]), int(wrong[i, j])]
        for i, j in order[:_CONFUSIONS_SHOWN]
        if wrong[i, j]
    ]
    if not rows:
        return None
    table = plain_table(["most frequent mistakes", "predicted as", "rows"], rows, ["predicted as"])
    return tag("div", table)


def _rows_told(contents: Contents) -> str:
    if contents.rows_predicted < contents.rows_evaluated:
        return (
            f"From {contents.rows_predicted:,} of {contents.rows_evaluated:,} rows, spread evenly over the split "
            "(report.max_rows)."
        )
    return f"From all {contents.rows_predicted:,} rows."


def _classes(contents: Contents) -> Html:
    per_class = contents.evaluation.per_class
    measures = list(per_class)
    last = per_class[measures[-1]]
    before = contents.evaluation.per_class_baseline.get(measures[-1], {})
    labels, rows = contents.matrix.classes, contents.matrix.counts.sum(axis=1)
    body = []
    for i in sorted(last, key=lambda i: last[i])[:_ROWS_SHOWN]:
        known = i < len(labels)
        body.append(
            [
                name(labels[i] if known else str(i)),
                f"{rows[i]:,}" if known else "",
                *(f"{per_class[m][i]:.3f}" if i in per_class[m] else "" for m in measures),
                *([f"{last[i] - before[i]:+.3f}" if i in before else ""] if before else []),
                bar(last[i]),
            ]
        )
    columns = ["class", "rows", *measures, *([f"change of {measures[-1]}"] if before else []), ""]
    note = f"The weakest first{shortened(len(last), _ROWS_SHOWN)}."
    return section("By class", note, plain_table(columns, body))


def _slices(contents: Contents) -> Html:
    slices, before = contents.evaluation.slices, contents.evaluation.slices_baseline
    shown = [m for m in ("accuracy", "macro_f1", "example_count") if any(m in s for s in slices.values())]
    first = shown[0] if shown else ""
    body = []
    for key in sorted(slices, key=lambda k: _sortable(slices[k].get(first)))[:_ROWS_SHOWN]:
        values, old = slices[key], before.get(key, {}).get(first)
        change = f"{values[first] - old:+.3f}" if old is not None and first in values else ""
        body.append(
            [
                name(key),
                *(number(m, values[m]) if m in values else "" for m in shown),
                *([change] if before else []),
                bar(values.get(first, 0.0)) if first == "accuracy" else None,
            ]
        )
    columns = ["slice", *shown, *([f"change of {first}"] if before else []), ""]
    note = f"By the Evaluator, the weakest first{shortened(len(slices), _ROWS_SHOWN)}."
    return section("By slice", note, plain_table(columns, body))


def _sortable(value: float | None) -> float:
    return math.inf if value is None or math.isnan(value) else value


def _calibration(contents: Contents) -> Html:
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


def _roc(contents: Contents) -> Html:
    assert contents.roc is not None
    note = f"Positive is {contents.roc.positive}. Area under the curve {contents.roc.area:.4f}."
    return section("ROC curve", note, tag("div", roc_chart(contents.roc.points), class_="charts"))


def _mistakes(contents: Contents) -> Html:
    note = (
        "Rows whose own label got the lowest probability: what the model does not know, or what is mislabelled. "
        "Texts of the data are shown; report.mistakes sets how many."
    )
    return section(
        "Worst mistakes", note, tag("div", (_mistake(m) for m in contents.mistakes), class_="mistakes")
    )


def _mistake(mistake: Mistake) -> Html:
    quotes = [tag("blockquote", text or "(empty)", dir="auto") for text in mistake.texts]
    told = tag(
        "div",
        "labelled ",
        tag("b", tag("bdi", mistake.label)),
        f" ({mistake.label_probability:.1%}), predicted ",
        tag("b", tag("bdi", mistake.predicted)),
        f" ({mistake.probability:.1%})",
    )
    return tag("div", quotes, told, class_="mistake")


def _training(history: Mapping[str, object]) -> Html:
    evaluations: Sequence[Mapping[str, float]] = history["evaluations"]  # type: ignore[assignment]  # JSON
    losses = [Line("train", _curve(evaluations, "train_loss")), Line("eval", _curve(evaluations, "loss"))]
    charts = [line_chart("Loss", "epoch", losses)] if any(line.points for line in losses) else []
    accuracy = _curve(evaluations, "accuracy")
    if accuracy:
        charts.append(line_chart("Accuracy on eval", "epoch", [Line("eval", accuracy)]))
    return section("Training", _training_told(history), tag("div", charts, class_="charts"))


def _curve(evaluations: Sequence[Mapping[str, float]], key: str) -> list[tuple[float, float]]:
    return [(e["epoch"], e[key]) for e in evaluations if math.isfinite(e.get(key, math.nan))]


def _training_told(history: Mapping[str, object]) -> str:
    told = f"{history['step']:,} of {history['total_steps']:,} steps on {history['train_rows']:,} rows"
    best: Mapping[str, float] = history["best"]  # type: ignore[assignment]  # JSON
    if best:
        told += f"; the weights of epoch {best['epoch']:.3g} were the best and are the model's"
    return told + ("; stopped early." if history["stopped_early"] else ".")


def _canary(figures: Mapping[str, float]) -> Html:
    rows = [[key, f"{value:g}"] for key, value in figures.items()]
    note = "The model server on this model, asked for real rows."
    return section("Canary", note, plain_table(["figure", "value"], rows))
