"""Verdict steps, through which gates reject a run.

A server reports only that a step failed, without an exit code or a message. Therefore a gate that rejects *succeeds*,
with its reason as an output parameter, and a separate step after it fails: if `DataGate-verdict` failed, the gate
rejected the data; if `DataGate` failed, the gate itself failed. Steps that depend on the gate depend on the verdict
too. TensorFlow is not imported.
"""

from __future__ import annotations

import copy
import json
from typing import Any

VERDICT_SUFFIX = "-verdict"
REASON = "refused"  # parameter with the reason, empty if the gate passed


def add_verdict(spec: dict[str, Any], gate: str) -> None:
    """Adds a verdict step after a gate of a PipelineSpec (JSON values); it is never cached and never retried."""
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
