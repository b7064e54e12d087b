"""Steps through which gates say no.

A server tells of a failed step that it failed, and nothing else: no exit code, no message. So a gate that
refuses *succeeds*, with its reason as an output parameter, and a step of its own behind it fails:
`DataGate-verdict` failed means refused, `DataGate` failed means broken. What waited for the gate waits for the
verdict. No TensorFlow is imported.
"""

from __future__ import annotations

import copy
import json
from typing import Any

VERDICT_SUFFIX = "-verdict"
REASON = "refused"  # parameter with the reason, empty when the gate said yes


def add_verdict(spec: dict[str, Any], gate: str) -> None:
    """Puts a step behind a gate of a PipelineSpec (JSON values), never cached and never retried."""
    name, tasks = gate + VERDICT_SUFFIX, spec["root"]["dag"]["tasks"]
    for task in tasks.values():
        if gate in task.get("dependentTasks", []):
            task["dependentTasks"] = sorted({*task["dependentTasks"], name})
    declared = {REASON: {"parameterType": "STRING"}}
    component = spec["components"][gate]
    component.setdefault("outputDefinitions", {}).setdefault("parameters", {}).update(declared)
    source = {"taskOutputParameter": {"producerTask": gate, "outputParameterKey": REASON}}
    tasks[name] = {
        "taskInfo": {"name": name},
        "componentRef": {"name": name},
        "cachingOptions": {"enableCache": False},
        "dependentTasks": [gate],
        "inputs": {"parameters": {REASON: source}},
    }
    spec["components"][name] = {
        "executorLabel": f"{name}_executor",
        "inputDefinitions": {"parameters": declared},
    }
    executors = spec["deploymentSpec"]["executors"]
    container = copy.deepcopy(executors[component["executorLabel"]]["container"])
    container["args"] = ["--step", json.dumps({"verdict": gate}), "--executor_input", "{{$}}"]
    container.get("resources", {}).pop("accelerator", None)
    executors[f"{name}_executor"] = {"container": container}
