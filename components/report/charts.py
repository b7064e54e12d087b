"""Charts as inline SVG, which scale with the page and use its colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from components.report.markup import Child, Html, joined, tag
from models.tasks.sections import Bars, ChartBar, Curve, Point

_WIDTH, _HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 44
_TICKS = 5


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class _Plot:
    """Maps values to pixels."""

    x: Point
    y: Point

    def at(self, x: float, y: float) -> Point:
        """Pixels of a value."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            round(_LEFT + across * (_WIDTH - _LEFT - _RIGHT), 1),
            round(_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM), 1),
        )


def line_chart(title: str, x_label: str, lines: Sequence[Line]) -> Html:
    """Lines with a dot at each point, from x = 0 on, and a legend.

    Args:
        title: what the chart shows; also the label for screen readers.
        x_label: label of the x axis.
        lines: at least one has a point; values are finite, x is above 0.
    """
    points = [point for line in lines for point in line.points]
    plot = _Plot((0.0, max(x for x, _ in points)), _around([y for _, y in points]))
    marks: list[Child] = [_axes(plot, x_label)]
    for number, line in enumerate(lines):
        at = [plot.at(*point) for point in line.points]
        marks.append(_polyline(at, f"line s{number}"))
        tooltips = [f"{line.name} {y:.4g} at {x:.4g}" for x, y in line.points]
        marks += [_dot(p, f"s{number}", text) for p, text in zip(at, tooltips, strict=True)]
    legend = [
        tag("span", tag("i", class_=f"s{number}"), line.name, class_="key")
        for number, line in enumerate(lines)
    ]
    return _figure(title, marks, legend)


def curve_chart(curve: Curve) -> Html:
    """A curve in the unit square, with the diagonal of random guessing."""
    plot = _Plot((0.0, 1.0), (0.0, 1.0))
    marks = [
        _axes(plot, curve.x_label),
        _diagonal(plot),
        _polyline([plot.at(*point) for point in curve.points], "line s0"),
    ]
    return _figure(curve.title, marks)


def bar_chart(chart: Bars) -> Html:
    """Bars side by side, with dots in front of them."""
    plot = _Plot((0.0, 1.0), (0.0, chart.top))
    bars = [_bar(plot, bar) for bar in chart.bars]
    ideal = [_diagonal(plot)] if chart.ideal else []
    dots = [_dot(plot.at(dot.x, dot.y), "s1", dot.tooltip) for dot in chart.dots]
    return _figure(chart.title, [_axes(plot, chart.x_label), *bars, *ideal, *dots])


def _bar(plot: _Plot, bar: ChartBar) -> Html:
    left, top = plot.at(bar.low, bar.height)
    right, floor = plot.at(bar.high, plot.y[0])
    return tag(
        "rect",
        tag("title", bar.tooltip),
        x=left + 1,
        y=top,
        width=round(right - left - 2, 1),
        height=round(floor - top, 1),
        class_="bar",
    )


def _dot(place: Point, class_: str, tooltip: str) -> Html:
    return tag("circle", tag("title", tooltip), cx=place[0], cy=place[1], r=3.2, class_=class_)


def _diagonal(plot: _Plot) -> Html:
    return _polyline([plot.at(0.0, 0.0), plot.at(1.0, 1.0)], "guide")


def _polyline(points: Sequence[Point], class_: str) -> Html:
    return tag("polyline", points=" ".join(f"{x},{y}" for x, y in points), class_=class_)


def _axes(plot: _Plot, x_label: str) -> Html:
    parts = []
    for value in ticks(*plot.y):
        x, y = plot.at(plot.x[0], value)
        parts.append(tag("line", x1=x, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", f"{value:g}", x=x - 8, y=y + 4, text_anchor="end"))
    for value in ticks(*plot.x):
        x, y = plot.at(value, plot.y[0])
        parts.append(tag("text", f"{value:g}", x=x, y=y + 18, text_anchor="middle"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(tag("text", x_label, x=middle, y=_HEIGHT - 6, text_anchor="middle"))
    return joined(parts)


def _figure(title: str, marks: Sequence[Child], legend: Sequence[Html] = ()) -> Html:
    drawing = tag("svg", marks, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=title)
    return tag("figure", tag("figcaption", tag("b", title), *legend), drawing)


def _around(values: Sequence[float]) -> Point:
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 0.5
    return low - margin, high + margin


def ticks(low: float, high: float) -> list[float]:
    """Round values between two ends: `ticks(0.0, 1.0) -> [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]`."""
    step = 10.0 ** math.floor(math.log10((high - low) / _TICKS))
    step *= next(s for s in (1, 2, 5, 10) if (high - low) / (step * s) <= _TICKS)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]
