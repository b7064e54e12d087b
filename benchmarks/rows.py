"""Creates and prints the rows of the benchmark table. Uses the standard library and rich only."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

_TARGET = re.compile(r"\s*(<=|>=|==)\s*([0-9.]+)")


def make_row(
    what: str,
    ours: float,
    unit: str,
    *,
    peer_name: str = "",
    peer: float | None = None,
    target: str = "",
    ours_peak_mib: float | None = None,
    peer_peak_mib: float | None = None,
    rows: int | None = None,
    note: str = "",
) -> dict[str, Any]:
    """Returns a row with one measurement and that of its peer.

    `make_row("tokenize", 50_000, "rows/s", peer_name="HF fast", peer=20_000, target=">= 2")["ratio"] -> 2.5`

    Args:
        what: what was measured, such as "Transform node".
        ours: our figure, in `unit`.
        peer_name: what it is compared with; empty if there is no peer.
        peer: the peer's figure, in the same unit.
        target: "<= 0.7" or ">= 4" for the ratio ours / peer, or for `ours` if there is no peer.
        ours_peak_mib: peak resident memory of our process, MiB.
        peer_peak_mib: peak resident memory of the peer's process, MiB.
        rows: number of processed rows.
        note: what is needed to interpret the figure.

    Raises:
        ValueError: nothing was measured: there are no rows, or a figure is not a number, or is 0 with a peer.
    """
    _require_measured(what, ours, peer, rows)
    return {
        "what": what,
        "ours": ours,
        "unit": unit,
        "peer_name": peer_name,
        "peer": peer,
        "ratio": ours / peer if peer else None,
        "target": target,
        "ours_peak_mib": ours_peak_mib,
        "peer_peak_mib": peer_peak_mib,
        "rows": rows,
        "note": note,
    }


def _require_measured(what: str, ours: float, peer: float | None, rows: int | None) -> None:
    """Raises ValueError if nothing was measured: otherwise a figure of no rows would look like any other."""
    compared = [] if peer is None else [ours, peer]
    if rows == 0 or not math.isfinite(ours) or not all(0 < value < math.inf for value in compared):
        raise ValueError(f"{what}: nothing was measured: {ours} against {peer}, of {rows} rows")


def meets_target(row: Row) -> bool | None:
    """Whether the ratio (without a peer: our figure) meets the target; None if there is no target.

    `{"ratio": 0.5, "target": "<= 0.7"} -> True`

    Raises:
        ValueError: the target cannot be read.
    """
    target = row.get("target") or ""
    value = row.get("ratio") if row.get("ratio") is not None else row.get("ours")
    if not target or value is None:
        return None
    parsed = _TARGET.match(target)
    if parsed is None:
        raise ValueError(f"target must be '<= NUMBER', '>= NUMBER' or '== NUMBER', got {target!r}")
    bound = float(parsed[2])
    return {"<=": value <= bound, ">=": value >= bound, "==": value == bound}[parsed[1]]


def print_table(console: Console, rows: Sequence[Row], title: str) -> None:
    """Prints the rows as a table, with numbered notes below it."""
    table = Table(title=Text(title, "bold"), title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("what", overflow="fold")
    for column in ("rows", "ours", "peer"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", overflow="fold", style="dim")
    for column in ("ratio", "target", "peak MiB", "peer's"):
        table.add_column(column, justify="right", no_wrap=True)
    notes: dict[str, int] = {}
    for row in rows:
        table.add_row(*_cells(row, notes))
    console.print(table)
    for note, number in notes.items():
        console.print(Text(f"  [{number}] {note}", "dim"))


def _cells(row: Row, notes: dict[str, int]) -> Iterable[Text]:
    note = row.get("note") or ""
    number = notes.setdefault(note, len(notes) + 1) if note else None
    unit, met = row.get("unit") or "", meets_target(row)
    mark, style = {None: ("", ""), True: (" ✓", "green"), False: (" ✗", "bold red")}[met]
    ratio = row.get("ratio")
    yield Text(row["what"] + (f" [{number}]" if number else ""))
    yield Text(_count(row.get("rows")))
    yield Text(f"{figure(row.get('ours'))} {unit}".strip())
    yield Text(f"{figure(row.get('peer'))} {unit}".strip() if row.get("peer") is not None else "")
    yield Text(row.get("peer_name") or "")
    yield Text("" if ratio is None else f"{figure(ratio)}x")
    yield Text((row.get("target") or "") + mark, style)
    yield Text(_count(row.get("ours_peak_mib")))
    yield Text(_count(row.get("peer_peak_mib")))


def figure(value: float | None) -> str:
    """Rounds to three significant digits: `0.6713 -> "0.671"`, `75_431.2 -> "75,431"`, `None -> ""`; not integers."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    decimals = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1
    return f"{value:.{decimals}f}"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
