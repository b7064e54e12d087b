"""The states of a run's steps, from a server's answer.

The server reports the nodes of an Argo workflow, not the steps of a pipeline: the step `Trainer` is a node
`Trainer-driver` and a node `Trainer` with a child `executor`, whose pod does the work. A cached step succeeds
with its executor skipped. No node has a message or an exit code, so a gate rejects through a separate step
(`pipeline.kubeflow.verdicts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.kubeflow.verdicts import VERDICT_SUFFIX

ENDED = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
_EXECUTOR = re.compile(r"executor(\(\d+\))?")
_STATES = {
    "PENDING": "waiting",
    "RUNNING": "running",
    "SUCCEEDED": "done",
    "SKIPPED": "skipped",
    "FAILED": "failed",
    "CANCELING": "stopping",
    "CANCELED": "stopped",
    "PAUSED": "paused",
}


@dataclass(frozen=True)
class StepState:
    """The current state of one step.

    Attributes:
        state: waiting, running, done, cached, failed, skipped, stopping, stopped or paused.
        pods: of its executor, the latest attempt last.
        seconds: from start to end; None until it has ended.
    """

    name: str
    state: str = "waiting"
    pods: tuple[str, ...] = ()
    seconds: float | None = None


def step_states(run: Any, names: Sequence[str] = ()) -> dict[str, StepState]:
    """Returns the state of each step, in the order of `names`.

    Args:
        run: kfp's V2beta1Run.
        names: steps of the pipeline; if empty, the steps that the server reports.
    """
    nodes = list(run.run_details.task_details or ()) if run.run_details else []
    by_name = {node.display_name: node for node in nodes if node.display_name}
    by_hash = {_hash(node.pod_name): node for node in nodes if node.pod_name}
    reported = [name.removesuffix("-driver") for name in by_name if name.endswith("-driver")]
    return {name: _step(name, by_name, by_hash) for name in names or reported if name != "root"}


def refused_gates(steps: Mapping[str, StepState]) -> list[str]:
    """The gates that rejected the run: `["DataGate"]`."""
    return [
        name.removesuffix(VERDICT_SUFFIX)
        for name, step in steps.items()
        if name.endswith(VERDICT_SUFFIX) and step.state == "failed"
    ]


def _step(name: str, by_name: Mapping[str, Any], by_hash: Mapping[str, Any]) -> StepState:
    node = by_name.get(name)
    if node is None:
        driver = by_name.get(f"{name}-driver")
        state = _state(driver) if driver else "waiting"
        # The step's own node appears only when its driver is done.
        return StepState(name, "running" if state == "done" else state)
    executors = list(_executors(node, by_hash))
    state = _state(node)
    if state == "done" and executors and all(_state(e) == "skipped" for e in executors):
        state = "cached"
    pods = [e for e in executors if _state(e) != "skipped"]
    pods.sort(key=lambda e: _attempt(e.display_name))
    return StepState(name, state, tuple(e.pod_name for e in pods), _seconds(node))


def _executors(node: Any, by_hash: Mapping[str, Any]) -> Iterator[Any]:
    """Yields the nodes below a step whose pods do its work; a retried step has a child for each attempt."""
    for child in node.child_tasks or ():
        executor = by_hash.get(_hash(child.pod_name or child.task_id or ""))
        if executor is not None and _EXECUTOR.fullmatch(executor.display_name or ""):
            attempts = list(_executors(executor, by_hash))
            yield from attempts or [executor]


def _attempt(display_name: str) -> int:
    number = re.search(r"\d+", display_name)
    return int(number[0]) if number else 0


def _hash(node_id: str) -> str:
    """The number at the end, which a node id and its pod's name share."""
    return node_id.rpartition("-")[2]


def _state(node: Any) -> str:
    return _STATES.get(node.state or "", "waiting")


def _seconds(node: Any) -> float | None:
    """The duration; None for a node that has not ended, whose end the server reports as 1970."""
    if node.start_time is None or node.end_time is None or node.end_time < node.start_time:
        return None
    return float((node.end_time - node.start_time).total_seconds())
