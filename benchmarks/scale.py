"""Rows/s and memory as the rows grow: time at most linear, memory flat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.rows import make_row
from benchmarks.workspace import Workspace

NODES = ("TFRecordExampleGen", "StatisticsGen", "Transform", "Evaluator")
# Rows that a node reads; the Evaluator only its split.
_SPLITS = {"Transform": ("train", "eval"), "Evaluator": ("test",)}
# How many times the rows -> the last node that is run: a model that judges them all takes its time.
_FACTORS = {10: "Pusher", 100: "Transform"}
_QUICK_FACTORS = {3: "Transform"}
LINEAR, FLAT = ">= 0.9", "<= 1.25"  # of the rows/s, and of the peak


def run(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    """For the import and each node: rows/s, and peak memory, at many times the rows."""
    factors = _QUICK_FACTORS if quick else _FACTORS
    one = _takes(workspace, 1, "Pusher")
    many = {factor: _takes(workspace, factor, last) for factor, last in factors.items()}
    return [
        row
        for what, small in one.items()
        for factor, takes in many.items()
        if what in takes
        for row in _rows(workspace, what, small, takes[what], factor)
    ]


def _takes(workspace: Workspace, factor: int, last: str) -> dict[str, dict[str, float]]:
    """What is measured -> its seconds and its peak."""
    _, imported = workspace.dataset(factor)
    nodes = workspace.nodes(factor, last=last)["nodes"]
    return {
        "import": {"seconds": imported.seconds, "peak_mib": imported.peak_mib},
        **{node: nodes[node] for node in NODES if node in nodes},
    }


def _rows(
    workspace: Workspace, what: str, one: dict[str, float], many: dict[str, float], factor: int
) -> Iterator[dict[str, Any]]:
    splits = _SPLITS.get(what, ("train", "eval", "test"))
    few, count = (sum(workspace.rows(f)[split] for split in splits) for f in (1, factor))
    yield make_row(
        f"{what}, {factor}x rows",
        count / many["seconds"],
        "rows/s",
        peer_name="itself at 1x",
        peer=few / one["seconds"],
        target=LINEAR,
        ours_peak_mib=many["peak_mib"],
        peer_peak_mib=one["peak_mib"],
        rows=count,
        note="at most linear: rows/s do not fall (time of the node without imports; of `import`, with them)",
    )
    yield make_row(
        f"{what}, {factor}x rows, peak",
        many["peak_mib"],
        "MiB",
        peer_name="itself at 1x",
        peer=one["peak_mib"],
        target=FLAT,
        rows=count,
        note="flat: the peak of the process while the node runs, its libraries (about 1,000 MiB) included",
    )
