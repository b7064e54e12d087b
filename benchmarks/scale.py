"""Measures rows/s and memory with a growing number of rows: time should be at most linear, memory constant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.rows import make_row
from benchmarks.workspace import Workspace

NODES = ("TFRecordExampleGen", "StatisticsGen", "Transform", "Evaluator")
# The splits that a node reads, if not all.
_SPLITS = {"Transform": ("train", "eval"), "Trainer": ("train", "eval"), "Evaluator": ("test",)}
# How many times the rows -> the last node to run: evaluating a model on all rows takes long.
_FACTORS = {10: "Pusher", 100: "Transform"}
_QUICK_FACTORS = {3: "Transform"}
LINEAR, FLAT = ">= 0.9", "<= 1.25"  # targets for rows/s and for the peak


def run(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    """Returns rows/s and peak memory of the import and of each node, at many times the rows."""
    return compared(workspace, _QUICK_FACTORS if quick else _FACTORS, "Pusher", NODES)


def compared(
    workspace: Workspace, factors: Mapping[int, str], last: str, nodes: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns the rows of the import and of `nodes`. `factors`: times the rows -> last node; `last` is that at 1x."""
    one = _takes(workspace, 1, last, nodes)
    many = {factor: _takes(workspace, factor, end, nodes) for factor, end in factors.items()}
    return [
        row
        for what, small in one.items()
        for factor, takes in many.items()
        if what in takes
        for row in _rows(workspace, what, small, takes[what], factor)
    ]


def _takes(
    workspace: Workspace, factor: int, last: str, wanted: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Returns node (or `import`) -> its seconds and its peak."""
    _, imported = workspace.dataset(factor)
    nodes = workspace.nodes(factor, last=last)["nodes"]
    return {
        "import": {"seconds": imported.seconds, "peak_mib": imported.peak_mib},
        **{node: nodes[node] for node in wanted if node in nodes},
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
        note="at most linear: rows/s do not decrease (the time of `import` includes Python imports, that of nodes does not)",
    )
    yield make_row(
        f"{what}, {factor}x rows, peak",
        many["peak_mib"],
        "MiB",
        peer_name="itself at 1x",
        peer=one["peak_mib"],
        target=FLAT,
        rows=count,
        note="constant: the peak of the process while the node runs, including its libraries (about 1,000 MiB)",
    )
