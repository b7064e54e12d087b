"""Elements that several sections of the page use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from components.report.markup import Child, Html, tag
from models.tasks.task import metric


def section(title: str, note: str, *body: Child) -> Html:
    """A heading, a sentence below it, and the body."""
    return tag("section", tag("h2", title), tag("p", note, class_="soft"), *body)


def plain_table(columns: Sequence[str], rows: Iterable[Sequence[Child]], words: Sequence[str] = ()) -> Html:
    """A table that scrolls horizontally if the page is too narrow.

    Args:
        columns: the column heads.
        rows: one cell per column each.
        words: columns after the first that have words, not numbers.
    """
    sides = ["left" if column in words else None for column in columns]
    head = tag("tr", (tag("th", c, class_=side) for c, side in zip(columns, sides, strict=True)))
    body = [
        tag("tr", (tag("td", cell, class_=side) for cell, side in zip(row, sides, strict=True)))
        for row in rows
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", body)), class_="scroll")


def name(value: str) -> Html:
    """A label, slice or column name: shortened if too long, in its own writing direction."""
    return tag("bdi", value, class_="name", title=value)


def number(metric_name: str, value: float) -> str:
    """`0.93728 -> "0.9373"`; counts of rows have no decimals."""
    return f"{value:,.0f}" if metric(metric_name).counts_rows else f"{value:.4f}"


def bar(share: float) -> Html:
    """A meter that shows a share between 0 and 1."""
    return tag("span", tag("i", style=f"width:{max(0.0, min(share, 1.0)):.1%}"), class_="meter")
