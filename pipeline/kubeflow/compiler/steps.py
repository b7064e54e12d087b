"""Compiles the TFX pipeline into a PipelineSpec and adapts its steps to Kubeflow.

Self-hosted Kubeflow accepts the output of TFX's compiler, but then every container crashes; docs/decisions/
0006-kubeflow.md lists the reasons. This module changes the command of each step, adds probes before steps whose driver
TFX would have run, and sets the run's parameters, caching, retries, environment and resources.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.orchestration.pipeline import Pipeline
from tfx.utils import name_utils

from components.baseline.component import ServedBaseline
from components.pusher.component import VersionedPusher
from components.pusher.spec import RUN_STARTED_KEY
from models.errors import UsageError
from pipeline.kubeflow.compiler.canary_step import canary_compiles
from pipeline.kubeflow.compiler.node_checks import check_nodes, check_step_names
from pipeline.kubeflow.names import BEAM_ARGUMENTS, PROBED, RUN_ID, SCHEDULED
from pipeline.kubeflow.run_date import RUN_DATE, SCHEDULE_TIME
from pipeline.kubeflow.verdicts import add_verdict
from pipeline.kubeflow_settings import KubeflowSettings, StepSettings

COMMAND = ("python", "-m", "pipeline.kubeflow.entrypoint")
PROBE_SUFFIX = "-probe"
_BACKOFF_SECONDS = 30
# Argo counts this from the start of the first attempt; after it, nothing is retried and a running retry is ended.
# Without a value there are no retries at all. A year is longer than any step with its retries, and the rest of it
# still fits into the 32 bits of a pod's activeDeadlineSeconds.
_RETRIES_END_SECONDS = 365 * 24 * 3600
_TYPES = {int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE", str: "STRING"}


@dataclass(frozen=True)
class RunParameter:
    """A value that can be set for each run.

    `targets` are paths in execution properties: node id -> ["custom_config", "train", "epochs"].
    """

    name: str
    default: int | float | str
    description: str
    targets: Mapping[str, list[str]]


def pipeline_spec(
    pipeline: Pipeline, settings: KubeflowSettings, image: str, parameters: list[RunParameter]
) -> dict[str, Any]:
    """Compiles to a PipelineSpec 2.1.0 as JSON values, for self-hosted Kubeflow Pipelines >= 2.5.

    Args:
        pipeline: with container paths.
        settings: the config's `kubeflow` section.
        image: container image with the project.
        parameters: the run's parameters.

    Raises:
        UsageError: there is no image, Kubernetes forbids a node's id, a node cannot be a step, or `kubeflow.steps`
            names a step that the pipeline does not have.
    """
    if not image.strip() or any(c.isspace() for c in image):
        raise UsageError(f"--image {image!r}: give the image with this project, registry/name:tag")
    nodes = list(pipeline.components)
    check_nodes(nodes)
    check_step_names(settings, nodes)
    runner = KubeflowV2DagRunner(
        KubeflowV2DagRunnerConfig(
            default_image=image, default_commands=list(COMMAND), use_pipeline_spec_2_1=True
        )
    )
    try:
        with canary_compiles():
            spec: dict[str, Any] = runner.run(pipeline, write_out=False)["pipelineSpec"]
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UsageError(f"TFX cannot compile this pipeline for Kubeflow: {error}") from error
    for node in nodes:
        _adapt(spec, node, settings, parameters)
        if getattr(node, "CAN_REFUSE", False):  # TFX's own nodes do not have this attribute
            add_verdict(spec, node.id)
    _pass_run_date(spec, nodes)
    _declare(spec, parameters)
    return spec


def executor_labels(spec: Mapping[str, Any]) -> dict[str, str]:
    """Returns task -> label of its executor; probes have their own executors."""
    tasks = spec["root"]["dag"]["tasks"]
    return {
        name: spec["components"][task["componentRef"]["name"]]["executorLabel"]
        for name, task in tasks.items()
    }


def _adapt(
    spec: dict[str, Any], node: BaseNode, settings: KubeflowSettings, parameters: list[RunParameter]
) -> None:
    task, component, container = _parts(spec, node.id)
    wiring = _wiring(node, component, parameters)
    container.pop("lifecycle", None)  # the server never runs this hook; the probe does its work
    wanted = settings.step(node.id)
    for parameter in parameters:
        if node.id in parameter.targets:
            _add_input(task, component, parameter.name, parameter.default, from_run=parameter.name)
    probe = _probe_of(node)
    if probe is not None:
        _add_probe(spec, node.id, probe, wiring, wanted, parameters)
        _add_input(task, component, PROBED, "", from_task=node.id + PROBE_SUFFIX)
    cacheable = getattr(node, "CACHEABLE", True)
    if not cacheable:
        _add_input(task, component, RUN_ID, "{{$.pipeline_job_uuid}}")
        _add_input(task, component, RUN_STARTED_KEY, "{{$.pipeline_job_create_time_utc}}")
    container["args"] = _arguments(wiring)
    task["cachingOptions"] = {"enableCache": wanted.cache is not False and cacheable}
    if wanted.retries:
        task["retryPolicy"] = _retry_policy(wanted)
    _equip(container, wanted)
    if isinstance(node.executor_spec, BeamExecutorSpec):
        # Not in the arguments, which the server hashes into the cache key: where a step runs does not affect its output.
        beam_arguments = json.dumps(node.executor_spec.beam_pipeline_args)
        container["env"].append({"name": BEAM_ARGUMENTS, "value": beam_arguments})


def _parts(spec: dict[str, Any], node_id: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    component = spec["components"][node_id]
    executors = spec["deploymentSpec"]["executors"]
    return (
        spec["root"]["dag"]["tasks"][node_id],
        component,
        executors[component["executorLabel"]]["container"],
    )


def _wiring(node: BaseNode, component: Mapping[str, Any], parameters: list[RunParameter]) -> dict[str, Any]:
    """What the entry point needs to know about a step, such as types that are missing in Kubeflow's messages."""
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    return {
        "executor": name_utils.get_full_name(node.executor_spec.executor_class),
        "inputs": {key: name_utils.get_full_name(channel.type) for key, channel in node.inputs.items()},
        "outputs": {key: name_utils.get_full_name(channel.type) for key, channel in node.outputs.items()},
        "integers": sorted(k for k, v in declared.items() if v["parameterType"] == "NUMBER_INTEGER"),
        "parameters": {p.name: p.targets[node.id] for p in parameters if node.id in p.targets},
    }


def _arguments(wiring: Mapping[str, Any]) -> list[str]:
    return ["--step", json.dumps(wiring, sort_keys=True), "--executor_input", "{{$}}"]


def _add_input(
    task: dict[str, Any],
    component: dict[str, Any],
    name: str,
    default: int | float | str,
    *,
    from_run: str = "",
    from_task: str = "",
) -> None:
    definitions = component.setdefault("inputDefinitions", {}).setdefault("parameters", {})
    definitions[name] = {"parameterType": _TYPES[type(default)]}
    if from_run:
        source: dict[str, Any] = {"componentInputParameter": from_run}
    elif from_task:
        source = {"taskOutputParameter": {"producerTask": from_task, "outputParameterKey": name}}
        task["dependentTasks"] = sorted({*task.get("dependentTasks", []), from_task})
    else:
        source = {"runtimeValue": {"constant": default}}
    task.setdefault("inputs", {}).setdefault("parameters", {})[name] = source


def _probe_of(node: BaseNode) -> dict[str, str] | None:
    if isinstance(node, FileBasedExampleGen):
        return {"of": "examples", "driver": name_utils.get_full_name(node.driver_class)}
    if isinstance(node, ServedBaseline):
        return {"of": "baseline"}
    return None


def _add_probe(
    spec: dict[str, Any],
    node_id: str,
    probe: Mapping[str, str],
    wiring: Mapping[str, Any],
    wanted: StepSettings,
    parameters: list[RunParameter],
) -> None:
    """Adds a step before `node_id` that has the same inputs, and only parameters as outputs."""
    name = node_id + PROBE_SUFFIX
    own = {p.name: p.targets[name] for p in parameters if name in p.targets}
    wiring = {**wiring, "parameters": {**wiring["parameters"], **own}, "outputs": {}, "probe": probe}
    task, component, container = json.loads(json.dumps(_parts(spec, node_id)))
    task |= {
        "taskInfo": {"name": name},
        "componentRef": {"name": name},
        "cachingOptions": {"enableCache": False},
    }
    component["executorLabel"] = f"{name}_executor"
    component["outputDefinitions"] = {"parameters": {PROBED: {"parameterType": "STRING"}}}
    for parameter in parameters:
        if name in parameter.targets:
            _add_input(task, component, parameter.name, parameter.default, from_run=parameter.name)
    if probe["of"] == "examples":
        _add_input(task, component, SCHEDULED, SCHEDULE_TIME)
        component["outputDefinitions"]["parameters"][RUN_DATE] = {"parameterType": "STRING"}
    container["args"] = _arguments(wiring)
    _equip(container, wanted.model_copy(update={"gpu": None}))
    if wanted.retries:
        task["retryPolicy"] = _retry_policy(wanted)
    spec["root"]["dag"]["tasks"][name] = task
    spec["components"][name] = component
    spec["deploymentSpec"]["executors"][f"{name}_executor"] = {"container": container}


def _pass_run_date(spec: dict[str, Any], nodes: list[BaseNode]) -> None:
    """Passes the day from the ExampleGen's probe to the Pusher: if each determined it, the days could differ."""
    probes = [node.id + PROBE_SUFFIX for node in nodes if isinstance(node, FileBasedExampleGen)]
    for node in nodes:
        if not (probes and isinstance(node, VersionedPusher)):
            continue
        task, component, container = _parts(spec, node.id)
        _add_input(task, component, RUN_DATE, "", from_task=probes[0])
        wiring = json.loads(container["args"][1])
        wiring["parameters"][RUN_DATE] = ["info", RUN_DATE]
        container["args"][1] = json.dumps(wiring, sort_keys=True)


def _declare(spec: dict[str, Any], parameters: list[RunParameter]) -> None:
    definitions = spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})
    for parameter in parameters:
        definitions[parameter.name] = {
            "parameterType": _TYPES[type(parameter.default)],
            "defaultValue": parameter.default,
            "isOptional": True,
            "description": parameter.description,
        }


def _retry_policy(wanted: StepSettings) -> dict[str, Any]:
    seconds = _BACKOFF_SECONDS if wanted.backoff_seconds is None else wanted.backoff_seconds
    return {
        "maxRetryCount": wanted.retries,
        "backoffDuration": f"{seconds}s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": f"{_RETRIES_END_SECONDS}s",
    }


def _equip(container: dict[str, Any], wanted: StepSettings) -> None:
    env = {"TF_USE_LEGACY_KERAS": "1", **(wanted.env or {})}
    container["env"] = [{"name": name, "value": value} for name, value in sorted(env.items())]
    resources: dict[str, Any] = dict(_quantities(wanted))
    if wanted.gpu is not None:
        resources["accelerator"] = {
            "type": wanted.gpu.type,
            "count": str(wanted.gpu.count),
            "resourceType": wanted.gpu.type,
            "resourceCount": str(wanted.gpu.count),
        }
    if resources:
        container["resources"] = resources


def _quantities(wanted: StepSettings) -> Iterator[tuple[str, str]]:
    for field, name in (
        ("cpu", "resourceCpuLimit"),
        ("cpu_request", "resourceCpuRequest"),
        ("memory", "resourceMemoryLimit"),
        ("memory_request", "resourceMemoryRequest"),
    ):
        value = getattr(wanted, field)
        if value is not None:
            yield name, value
