"""Measures the time until the first node starts, and the time of a run in which nothing changed.

The peer is `from tfx import v1`, which a pipeline written as in TFX's tutorials executes before its first
node, in the same environment, with bytecode compiled on both sides (by a first round, which is not timed).
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.processes import PYTHON, Command, Measured, first_line, measure
from benchmarks.rows import make_row
from benchmarks.workspace import CONFIG, Workspace

PEER = "from tfx import v1"


def run(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    """Returns rows for the time to the first node, the cached run, and commands that need no TensorFlow."""
    workspace.nodes(1)  # the run that fills the cache
    rounds = 2 if quick else 4  # the first one warms the disk cache and is not counted
    floors, firsts, cached = [], [], []
    for _ in range(rounds):
        floors.append(measure([PYTHON, "-c", PEER]))
        firsts.append(_seconds_to_first_node(workspace))
        cached.append(_cached_run(workspace))
    floor, first = _median(floors[1:]), statistics.median(firsts[1:])
    again = _median(cached[1:])
    return [
        make_row(
            "time to the first node",
            first,
            "s",
            peer_name=PEER,
            peer=floor.seconds,
            target="<= 0.7",
            peer_peak_mib=floor.peak_mib,
            note=f"from the start of the process; median of {rounds - 1}; a new pipeline; includes the verification of "
            "checkpoint and data",
        ),
        make_row(
            "fully cached run",
            again.seconds,
            "s",
            peer_name="our time to the first node",
            peer=first,
            target="<= 1.4",
            ours_peak_mib=again.peak_mib,
            note="the whole process, with every node cached, including the summary",
        ),
        make_row(
            "fully cached run",
            again.seconds,
            "s",
            peer_name=PEER,
            peer=floor.seconds,
            target="<= 1.4",
            ours_peak_mib=again.peak_mib,
            peer_peak_mib=floor.peak_mib,
        ),
        *_light_commands(),
    ]


def _seconds_to_first_node(workspace: Workspace) -> float:
    root = workspace.folder / "first-node"
    shutil.rmtree(root, ignore_errors=True)
    command: Command = [PYTHON, "runner_local.py", "run", CONFIG, "--root", root, *workspace.overrides(1)]
    return first_line(command, r"^\w+: started$")


def _cached_run(workspace: Workspace) -> Measured:
    command: Command = [PYTHON, "runner_local.py", "run", CONFIG, "--root", workspace.root(1), "--json"]
    took = measure([*command, *workspace.overrides(1)])
    states = {node["id"]: node["state"] for node in took.result()["nodes"]}
    if set(states.values()) != {"cached"}:
        raise RuntimeError(f"the run should have been fully cached, got {states}")
    return took


def _light_commands() -> list[dict[str, Any]]:
    """Returns rows with the CPU time of commands that should answer at once."""
    rows = []
    for words, code in ((["--help"], 0), (["config", str(CONFIG)], 0), (["run", "no-such.yaml"], 2)):
        measure([PYTHON, "runner_local.py", *words], may_exit=(code,))
        took = measure([PYTHON, "runner_local.py", *words], may_exit=(code,))
        shown = " ".join(word.rpartition("/")[2] for word in words)
        rows.append(
            make_row(
                f"runner_local.py {shown}",
                took.cpu_seconds,
                "s CPU",
                target="<= 2",
                ours_peak_mib=took.peak_mib,
            )
        )
    return rows


def _median(runs: Sequence[Measured]) -> Measured:
    return sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
