"""The nodes of a run as the server reports them (see `pipeline.kubeflow.client.run_state`)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def node_number(step: str, part: str) -> int:
    """The number that ends ids and pod names of a step's node, as Argo's hash does."""
    return int.from_bytes(f"{step}/{part}".encode(), "big") % 10**10


def task_details(run_id: str, states: Mapping[str, str]) -> list[Json]:
    """A run's nodes as the server tells them: ids of children are Argo's, pod names are Kubernetes'.

    Args:
        states: step -> state; CACHED stands for a step that succeeded without its executor.
    """
    nodes = [
        _node(run_id, "root", "root", "RUNNING", []),
        _node(run_id, "root-driver", "root-driver", "SUCCEEDED", []),
    ]
    for step, state in states.items():
        own = "SUCCEEDED" if state == "CACHED" else state
        executor = "SKIPPED" if state == "CACHED" else state
        nodes.append(_node(run_id, step, f"{step}-driver", "SUCCEEDED", [f"wf-{node_number(step, 'step')}"]))
        nodes.append(_node(run_id, step, step, own, [f"wf-{node_number(step, 'executor')}"], part="step"))
        nodes.append(_node(run_id, step, "executor", executor, [], part="executor"))
    return nodes


def _node(run_id: str, step: str, name: str, state: str, children: list[str], part: str = "driver") -> Json:
    ended = state in ("SUCCEEDED", "FAILED", "SKIPPED")
    return {
        "run_id": run_id,
        "task_id": str(uuid.uuid4()),
        "display_name": name,
        "create_time": "2026-11-22T05:00:00Z",
        "start_time": "2026-11-22T05:00:00Z",
        "end_time": "2026-11-22T05:01:15Z" if ended else "1970-01-01T00:00:00Z",
        "state": state,
        "execution_id": "0",
        "pod_name": f"wf-system-container-impl-{node_number(step, part)}",
        "child_tasks": [{"pod_name": child} for child in children],
    }
