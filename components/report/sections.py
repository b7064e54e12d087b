"""Renders the sections on the model's figures, which a task describes as data, and those on slices and mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from components.evaluator.evaluation import missing_slices
from components.report.charts import bar_chart, curve_chart
from components.report.contents import Contents
from components.report.markup import Child, Html, tag
from components.report.tables import bar, name, number, plain_table, section
from models.own_parts import is_own
from models.tasks.sections import Cell, Curve, Matrix, Name, Section, Share, Table, difference, shortened
from models.tasks.sections import Part as SectionPart
from models.tasks.task import metric

_SLICES_SHOWN = 100  # the weakest
_MANY_NAMES = 7  # with this many names or more, a matrix has vertical column names


def drawn(described: Section) -> Html:
    """Renders a section of a task."""
    parts = [_part(part) for part in described.parts]
    if all(isinstance(part, Table) for part in described.parts):
        return section(described.title, described.note, *parts)
    if isinstance(described.parts[0], Matrix):
        beside = [parts[0], *(tag("div", part) for part in parts[1:])]
        return section(described.title, described.note, tag("div", beside, class_="beside"))
    return section(described.title, described.note, tag("div", parts, class_="charts"))


def _part(part: SectionPart) -> Html:
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Matrix):
        return tag("div", _matrix(part), class_="scroll")
    return curve_chart(part) if isinstance(part, Curve) else bar_chart(part)


def _table(table: Table) -> Html:
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    return plain_table(table.columns, rows, table.words)


def _cell(cell: Cell) -> Child:
    if isinstance(cell, Name):
        return name(cell.text)
    return bar(cell.value) if isinstance(cell, Share) else cell


def _matrix(matrix: Matrix) -> Html:
    many = len(matrix.names) >= _MANY_NAMES
    head = tag("tr", tag("th"), (tag("th", name(label)) for label in matrix.names))
    rows = [
        tag("tr", tag("th", name(label)), (_matrix_cell(matrix, i, j) for j in range(len(matrix.names))))
        for i, label in enumerate(matrix.names)
    ]
    return tag("table", tag("thead", head), tag("tbody", rows), class_="matrix many" if many else "matrix")


def _matrix_cell(matrix: Matrix, i: int, j: int) -> Html:
    count, share, tooltip = matrix.cells[i][j]
    if not count:
        return tag("td", "0", class_="zero")
    strength = 0.10 + 0.55 * share
    return tag("td", count, class_="hit" if i == j else None, style=f"--v:{strength:.2f}", title=tooltip)


def slices_section(contents: Contents) -> Html:
    """The Evaluator's metrics of each slice."""
    slices, before = contents.evaluation.slices, contents.evaluation.slices_baseline
    facts = contents.task.facts()
    ranked = facts.RANKS_SLICES
    known = [*facts.SLICE_METRICS, *filter(is_own, contents.evaluation.metrics)]
    metrics = [m for m in known if any(m in values for values in slices.values())]
    sign = -1.0 if metric(ranked).lower_is_better else 1.0
    weakest = sorted(slices, key=lambda key: _sortable(slices[key].get(ranked), sign))[:_SLICES_SHOWN]
    top = 1.0 if metric(ranked).bounded else max((v.get(ranked, 0.0) for v in slices.values()), default=0.0)
    changes = [f"change of {ranked}"] if before else []
    note = f"By the Evaluator, the weakest first{shortened(len(slices), _SLICES_SHOWN)}."
    note += "".join(f" {missing}." for missing in missing_slices(contents.evaluation, contents.evaluate))
    rows = [
        [
            name(key),
            *(number(m, slices[key][m]) if m in slices[key] else "" for m in metrics),
            *(difference(slices[key].get(ranked), before.get(key, {}).get(ranked)) for _ in changes),
            bar(slices[key].get(ranked, 0.0) / (top or 1.0)),
        ]
        for key in weakest
    ]
    return section("By slice", note, plain_table(["slice", *metrics, *changes, ""], rows))


def _sortable(value: float | None, sign: float) -> float:
    return math.inf if value is None or math.isnan(value) else sign * value


def mistakes_section(contents: Contents) -> Html:
    """The rows that the model gets most wrong, with their texts."""
    figures = contents.task.figures()
    quotes = [_mistake(mistake.texts, figures.describe_mistake(mistake)) for mistake in contents.mistakes]
    return section("Worst mistakes", figures.MISTAKES_NOTE, tag("div", quotes, class_="mistakes"))


def _mistake(texts: Sequence[str], answers: Sequence[tuple[str, str, str]]) -> Html:
    caption: list[Child] = []
    for who, label, share in answers:
        caption += [f"{', ' if caption else ''}{who} ", tag("b", tag("bdi", label)), f" ({share})"]
    quotes = [tag("blockquote", text or "(empty)", dir="auto") for text in texts]
    return tag("div", quotes, tag("div", caption), class_="mistake")
