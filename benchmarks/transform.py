"""Compares the Transform node with `datasets.map` and TFRecord writing, on the same rows and with equal outputs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from benchmarks.processes import PEER_PYTHON, BenchmarkError, Command, measure
from benchmarks.rows import make_row
from benchmarks.workspace import CONFIG, Workspace, repeats
from components.project import PROJECT_DIR

SPLITS = ("train", "eval")


def run(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    """Returns a row for each number of rows."""
    return [_row(workspace, factor, repeats(quick, factor)) for factor in ([1] if quick else [1, 10])]


def _row(workspace: Workspace, factor: int, times: int) -> dict[str, Any]:
    from benchmarks.tfexample import digest_of_ids
    from models.features import INPUT_IDS, LABEL_ID

    ours = workspace.node(factor, "Transform", times)
    peer = sorted((_peer(workspace, factor) for _ in range(times)), key=lambda run: run["seconds"])[
        times // 2
    ]
    written = sorted(
        Path(workspace.nodes(factor)["outputs"]["Transform.transformed_examples"]).glob("Split-*/*")
    )
    rows, digest = digest_of_ids(written, (INPUT_IDS, LABEL_ID))
    if (rows, digest) != (peer["rows"], peer["digest"]):
        raise BenchmarkError(
            f"the outputs differ: {rows} rows {digest}, the peer's {peer['rows']} rows {peer['digest']}"
        )
    return make_row(
        f"Transform node, {factor}x rows",
        ours["seconds"],
        "s",
        peer_name="datasets.map (HF fast) + TFRecords",
        peer=peer["seconds"],
        ours_peak_mib=ours["peak_mib"],
        peer_peak_mib=peer["peak_mib"],
        rows=rows,
        note="both from the raw shards to the last closed transformed shard, without imports; the outputs are equal "
        "row by row; median of 3 at 1x in full runs. Ours also saves the graph that the served model uses",
    )


def _peer(workspace: Workspace, factor: int) -> dict[str, Any]:
    from models.checkpoints.source import checkpoint_folder
    from pipeline.config import load_config
    from pipeline.paths import CHECKPOINTS_DIR, RECIPES_DIR

    config = load_config(CONFIG)
    checkpoint = checkpoint_folder(config.model.checkpoint, RECIPES_DIR / "checkpoints", CHECKPOINTS_DIR)
    if not PEER_PYTHON.exists():
        raise BenchmarkError(f"{PEER_PYTHON.relative_to(PROJECT_DIR)} is missing; `make bench` creates it")
    out = workspace.folder / "datasets-map"
    folder, _ = workspace.dataset(factor)
    command: Command = [PEER_PYTHON, "-m", "benchmarks.peers.datasets_map", folder, config.data.label_list]
    try:
        return measure([*command, checkpoint, out, str(config.transform.max_length)]).result()
    finally:
        shutil.rmtree(out, ignore_errors=True)
