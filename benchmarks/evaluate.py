"""Compares the Evaluator node with plain batched prediction on the same rows, SavedModel and signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.processes import PYTHON, BenchmarkError, Command, measure
from benchmarks.rows import make_row
from benchmarks.workspace import Workspace, repeats

BATCH = 128


def run(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    """Returns a row for each number of rows."""
    return [_row(workspace, factor, repeats(quick, factor)) for factor in ([1] if quick else [1, 10])]


def _row(workspace: Workspace, factor: int, times: int) -> dict[str, Any]:
    pipeline_run = workspace.nodes(factor)
    ours = workspace.node(factor, "Evaluator", times)
    model = Path(pipeline_run["outputs"]["Trainer.model"]) / "Format-Serving"
    examples = Path(pipeline_run["outputs"]["TFRecordExampleGen.examples"]) / "Split-test" / "*"
    command: Command = [PYTHON, "-m", "benchmarks.peers.batched_predict", model, examples, str(BATCH)]
    peers = [measure(command).result() for _ in range(times)]
    peer = sorted(peers, key=lambda run: run["seconds"])[times // 2]
    expected = workspace.rows(factor)["test"]
    if peer["rows"] != expected:
        raise BenchmarkError(f"predicted {peer['rows']} rows, but the test split has {expected}")
    return make_row(
        f"Evaluator node, {factor}x rows",
        ours["seconds"],
        "s",
        peer_name=f"bare predict, batches of {BATCH}",
        peer=peer["seconds"],
        ours_peak_mib=ours["peak_mib"],
        peer_peak_mib=peer["peak_mib"],
        rows=expected,
        note="both from loading the model to the last figure, without imports; median of 3 at 1x in full runs; ours also "
        "computes metrics, slices and the blessing, and its peak is that of the process that has trained the model",
    )
