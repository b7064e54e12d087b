"""Time and memory as the rows grow: at most linear, and flat."""

from __future__ import annotations

from typing import Any

from benchmarks.rows import make_row
from benchmarks.workspace import Workspace

NODES = ("TFRecordExampleGen", "StatisticsGen", "Transform", "Evaluator")
# Rows that a node reads; the Evaluator only its split.
_SPLITS = {"Transform": ("train", "eval"), "Evaluator": ("test",)}
LINEAR, FLAT = "<= 1.1", "<= 1.25"  # of the time per row, and of the peak


def run(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    """Two rows for the import and each node: time per row, and peak memory, at many times the rows."""
    factor, last = (3, "Transform") if quick else (10, "Pusher")
    small, large = workspace.nodes(1), workspace.nodes(factor, last=last)
    takes = {"import": tuple(_import(workspace, f) for f in (1, factor))}
    for node in NODES:
        if node in large["nodes"]:
            takes[node] = (small["nodes"][node], large["nodes"][node])
    return [row for what, (one, many) in takes.items() for row in _rows(workspace, what, one, many, factor)]


def _import(workspace: Workspace, factor: int) -> dict[str, float]:
    _, took = workspace.dataset(factor)
    return {"seconds": took.seconds, "peak_mib": took.peak_mib}


def _rows(
    workspace: Workspace, what: str, one: dict[str, float], many: dict[str, float], factor: int
) -> list[dict[str, Any]]:
    splits = _SPLITS.get(what, ("train", "eval", "test"))
    few, count = (sum(workspace.rows(f)[split] for split in splits) for f in (1, factor))
    return [
        make_row(
            f"{what}, {factor}x rows",
            many["seconds"] / count * 1000,
            "ms/row",
            peer_name="itself at 1x",
            peer=one["seconds"] / few * 1000,
            target=LINEAR,
            ours_peak_mib=many["peak_mib"],
            peer_peak_mib=one["peak_mib"],
            rows=count,
            note="at most linear: the time per row does not grow (imports apart, but for `import`)",
        ),
        make_row(
            f"{what}, {factor}x rows, peak",
            many["peak_mib"],
            "MiB",
            peer_name="itself at 1x",
            peer=one["peak_mib"],
            target=FLAT,
            rows=count,
            note="flat: the peak of the process while the node runs, its libraries (about 1,000 MiB) included",
        ),
    ]
