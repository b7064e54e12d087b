"""Converts a PipelineSpec into a job for Vertex AI Pipelines, JSON with the spec and the bucket for its outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.kubeflow.compiler.steps import PROBE_SUFFIX, executor_labels
from pipeline.kubeflow.verdicts import VERDICT_SUFFIX
from pipeline.kubeflow_settings import KubeflowSettings, StepSettings

_NOT_A_LABEL = re.compile(r"[^-_a-z0-9]")
_GB = 10**9
_UNITS = {
    "m": 10**-3,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
}


def vertex_job(spec: Mapping[str, Any], settings: KubeflowSettings, pipeline_root: str) -> dict[str, Any]:
    """Returns the PipelineJob as JSON values, which `aiplatform.PipelineJob(template_path=...)` loads.

    Args:
        spec: PipelineSpec 2.1.0 from `pipeline.kubeflow.compiler.steps.pipeline_spec`; it is modified.
        settings: the config's `kubeflow` section, checked by `check_target`.
        pipeline_root: `gs://BUCKET/FOLDER`, where artifacts are written.
    """
    executors = spec["deploymentSpec"]["executors"]
    for task, label in executor_labels(spec).items():
        is_probe = task.endswith((PROBE_SUFFIX, VERDICT_SUFFIX))
        step = settings.step(task.removesuffix(PROBE_SUFFIX).removesuffix(VERDICT_SUFFIX))
        container = executors[label]["container"]
        container.pop("resources", None)
        if resources := _resources(step, accelerators=not is_probe):
            container["resources"] = resources
    name = spec["pipelineInfo"]["name"]
    return {
        "displayName": name,
        "labels": {"pipeline": label_value(name), "sdk": label_value(spec["sdkVersion"])},
        "pipelineSpec": spec,
        "runtimeConfig": {"gcsOutputDirectory": pipeline_root, "parameterValues": {}},
    }


def label_value(text: str) -> str:
    """Converts a text into a valid label value of Google Cloud: `tfx-1.21.0 -> tfx-1-21-0`, at most 63 characters."""
    return _NOT_A_LABEL.sub("-", text.lower())[:63]


def amount(quantity: str) -> float:
    """Converts a Kubernetes quantity into a number: `500m -> 0.5`, `2Gi -> 2147483648.0`."""
    digits = re.match(r"[\d.]+", quantity)
    assert digits is not None  # the settings accept nothing else
    return float(digits[0]) * _UNITS.get(quantity[digits.end() :], 1)


def _resources(step: StepSettings, *, accelerators: bool) -> dict[str, Any]:
    """The resources by which a machine is chosen: numbers of CPUs and GB (10**9) instead of Kubernetes quantities."""
    resources: dict[str, Any] = {}
    if step.cpu is not None:
        resources["cpuLimit"] = amount(step.cpu)
    if step.memory is not None:
        resources["memoryLimit"] = amount(step.memory) / _GB
    if step.gpu is not None and accelerators:
        resources["accelerator"] = {"type": step.gpu.type, "count": str(step.gpu.count)}
    return resources
