"""The HTML page, self-contained and without scripts, so that it works in Kubeflow's sandboxed frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from components.evaluator.evaluation import missing_slices
from components.report.charts import Line, line_chart
from components.report.contents import Contents, Headline, headlines, verdict
from components.report.data_page import data_section
from components.report.markup import Child, Html, tag
from components.report.sections import drawn, mistakes_section, slices_section
from components.report.style import CSS
from components.report.tables import number, plain_table, section
from components.report.tokenization_page import tokenization_section
from components.trainer.history import History, why_kept
from models.own_parts import is_own
from models.tasks.task import LOSS, Task, metric, score

_CARDS = 4
# Whatever a text contains, the browser loads nothing and runs nothing.
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
    figures = contents.task.figures()
    yield from map(drawn, figures.answer_sections(contents.figures, contents.judged))
    if contents.evaluation.slices or any(missing_slices(contents.evaluation, contents.evaluate)):
        yield slices_section(contents)
    yield from map(drawn, figures.confidence_sections(contents.figures, contents.judged))
    if contents.mistakes:
        yield mistakes_section(contents)
    if contents.history.evaluations:
        yield _training(contents.history, contents.task)
    yield data_section(contents)
    yield tokenization_section(contents)
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
    shares = [line for line in headlines(contents) if not metric(line.name).counts_rows]
    for line in shares[:_CARDS]:
        bounds = line.bounds or "no threshold"
        cards.append(
            tag(
                "div",
                tag("span", line.name),
                tag("strong", number(line.name, line.value), _mark(line.within)),
                tag("span", bounds if line.change is None else [_change(line), " vs. the last blessed"]),
                class_="card",
            )
        )
    return tag("div", cards, class_="cards")


def _mark(within: bool | None) -> Html | None:
    if within is None:
        return None
    return tag("i", "✓" if within else "✗", class_="mark good" if within else "mark bad")


def _change(line: Headline) -> Html | None:
    known = metric(line.name)
    if line.change is None or known.counts_rows:
        return None
    better = line.change < 0 if known.lower_is_better else line.change > 0
    style = None if abs(line.change) < 5e-5 else "good" if better else "warn"
    return tag("b", f"{line.change:+.4f}", class_=style)


def _metrics(contents: Contents) -> Html:
    compared = contents.evaluation.baseline is not None
    rows = [_metric_row(line, compared) for line in headlines(contents)]
    columns = ["metric", "value", *(["last blessed", "change"] if compared else []), "threshold", ""]
    note = f"Computed by the Evaluator on all {contents.rows_evaluated:,} rows of the {contents.evaluate.split} split."
    if not compared:
        note += " There was no earlier model to compare with."
    return section("Metrics", note, plain_table(columns, rows, ["threshold"]))


def _metric_row(line: Headline, compared: bool) -> list[Child]:
    before = "" if line.baseline is None else number(line.name, line.baseline)
    change: list[Child] = [before, _change(line)] if compared else []
    return [line.name, number(line.name, line.value), *change, line.bounds, _mark(line.within)]


def _training(history: History, task: Task) -> Html:
    evaluations = history.evaluations
    losses = [Line("train", _curve(evaluations, f"train_{LOSS}")), Line("eval", _curve(evaluations, LOSS))]
    charts = [line_chart("Loss", "epoch", losses)] if any(line.points for line in losses) else []
    own = {name: score(name) for name in filter(is_own, evaluations[0] if evaluations else ())}
    for name, known in {**task.facts().SCORES, **own}.items():
        points = _curve(evaluations, name) if name != LOSS else []
        if points:
            title = f"{known.title[0].upper()}{known.title[1:]} on eval"
            charts.append(line_chart(title, "epoch", [Line("eval", points)]))
    return section("Training", _training_note(history), tag("div", charts, class_="charts"))


def _curve(evaluations: Sequence[Mapping[str, float]], key: str) -> list[tuple[float, float]]:
    return [(e["epoch"], e[key]) for e in evaluations if math.isfinite(e.get(key, math.nan))]


def _training_note(history: History) -> str:
    steps = f"{history.step:,} of {history.total_steps:,} steps on {history.train_rows:,} rows"
    parts = [steps, why_kept(history), "stopped early" if history.stopped_early else ""]
    return "; ".join(part for part in parts if part) + "."


def _canary(figures: Mapping[str, float]) -> Html:
    rows = [[key, f"{value:g}"] for key, value in figures.items()]
    note = "The model server's answers to real rows with this model."
    return section("Canary", note, plain_table(["figure", "value"], rows))
