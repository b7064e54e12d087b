"""Kubeflow's driver and launcher without Kubeflow: executes a compiled package, each step in its own process.

Written from backend/src/v2/{driver,component,metadata,objectstore,cacheutils} of kubeflow/pipelines 2.17.0.
What the real ones do and this does too:

- inputs are resolved from the metadata store, without their type; numbers are doubles, booleans integers,
  lists and structures wrapped, nulls refused; a name is the artifact's id;
- outputs get object-store URIs below the pipeline root, their type, and `executor-logs` beside them;
- the launcher copies inputs from the store, and outputs to it; neither empty folders nor empty files arrive;
- the URI and metadata that the step returns are merged over what the driver planned;
- the cache key has parameters, input ids, output types, command, image and claims;
- steps start when their dependencies succeeded, and when their condition holds; retries follow the task's policy,
  without the waiting; a DAG can be a task of another, and an exit task runs when that has ended, however it did.

What it does not do: loops, and outputs of nested DAGs; pods, so resources, scheduling, secrets and deadlines have
no effect; a claim is the folder that it is mounted at, which must exist on this machine.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as pb
from ml_metadata.proto import metadata_store_pb2 as mlmd

from tests.support.kubeflow.conditions import holds
from tests.support.kubeflow.launcher import launch
from tests.support.kubeflow.metadata import recorded, runtime_artifact

PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"


@dataclass
class StepResult:
    """How one task of a run ended."""

    state: str  # done, cached, failed, skipped; of a nested DAG done or failed
    attempts: int = 0
    exit_code: int = 0
    log: str = ""
    artifacts: dict[str, int] = field(default_factory=dict)  # output -> id in the store
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass
class Cluster:
    """What outlives a run: object store, metadata store and cache."""

    folder: Path  # everything is kept below it
    environment: Mapping[str, str] = field(default_factory=dict)  # of every step
    artifacts: dict[int, mlmd.Artifact] = field(default_factory=dict)
    cache: dict[str, StepResult] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self,
        package: Path,
        parameters: Mapping[str, Any] | None = None,
        evict: Callable[[str, int], bool] = lambda task, attempt: False,
        workers: int = 2,
    ) -> dict[str, StepResult]:
        """Runs a package to its end; returns task -> result.

        Args:
            package: YAML file as uploaded; a task of a nested DAG is called `dag/task` in what is returned.
            parameters: values for this run; the others take their defaults.
            evict: called with task and attempt (from 1); True kills that attempt as an eviction would.
            workers: steps at the same time.
        """
        documents = list(yaml.safe_load_all(package.read_text(encoding="utf-8")))
        spec = json_format.ParseDict(documents[0], pb.PipelineSpec())
        platform = documents[1] if len(documents) > 1 else {}
        return _Run(self, spec, platform, dict(parameters or {}), evict, workers).execute()

    def stored(self, uri: str) -> Path:
        """Where the object store keeps a URI."""
        return self.folder / "objects" / uri.partition("://")[2]

    def record(self, artifact: pb.RuntimeArtifact, output: str) -> int:
        """Puts an artifact into the metadata store; returns its id."""
        with self.lock:
            number = len(self.artifacts) + 1
            self.artifacts[number] = recorded(artifact, number, output)
        return number


@dataclass(frozen=True)
class _Dag:
    """A DAG of a run: the root, whose path is "", or a task such as "exit-handler-1/"."""

    path: str
    tasks: Mapping[str, pb.PipelineTaskSpec]
    given: pb.ExecutorInput.Inputs


class _Run:
    def __init__(
        self,
        cluster: Cluster,
        spec: pb.PipelineSpec,
        platform: Mapping[str, Any],
        parameters: dict[str, Any],
        evict: Callable[[str, int], bool],
        workers: int,
    ) -> None:
        self.cluster, self.spec, self.evict, self.workers = cluster, spec, evict, workers
        self.id = str(uuid.uuid4())
        self.created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.deployment = json_format.ParseDict(
            json_format.MessageToDict(spec.deployment_spec),
            pb.PipelineDeploymentConfig(),
            ignore_unknown_fields=True,
        )
        executors = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
        self.kubernetes = executors.get("executors", {})
        self.root = pb.ExecutorInput.Inputs()
        for name, value in self._root_parameters(parameters).items():
            self.root.parameter_values[name].CopyFrom(value)
        self.results: dict[str, StepResult] = {}

    def _root_parameters(self, given: dict[str, Any]) -> dict[str, struct_pb2.Value]:
        declared = self.spec.root.input_definitions.parameters
        unknown = given.keys() - declared.keys()
        assert not unknown, f"parameter(s) provided are not required by pipeline: {sorted(unknown)}"
        values = {name: d.default_value for name, d in declared.items() if d.HasField("default_value")}
        values |= {k: json_format.ParseDict(v, struct_pb2.Value()) for k, v in given.items()}
        missing = [name for name, d in declared.items() if name not in values and not d.is_optional]
        assert not missing, f"pipeline requiring input has no parameter(s) provided: {missing}"
        return values

    def execute(self) -> dict[str, StepResult]:
        self._execute(_Dag("", dict(self.spec.root.dag.tasks), self.root))
        return self.results

    def _execute(self, dag: _Dag) -> bool:
        """Runs the tasks of a DAG; returns whether none failed."""
        running: dict[Future[StepResult], str] = {}
        with ThreadPoolExecutor(self.workers) as pool:
            while True:
                ended = {name for name in dag.tasks if dag.path + name in self.results}
                if ended == dag.tasks.keys():
                    return all(self.results[dag.path + name].state != "failed" for name in ended)
                for name in sorted(dag.tasks.keys() - ended - set(running.values())):
                    start = self._may_start(dag, name)
                    if start:
                        running[pool.submit(self._step, dag, name)] = name
                    elif start is False:
                        self.results[dag.path + name] = StepResult("skipped")
                for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    self.results[dag.path + running.pop(future)] = future.result()

    def _may_start(self, dag: _Dag, name: str) -> bool | None:
        """None: not yet; False: never."""
        task = dag.tasks[name]
        needs = [self.results.get(dag.path + needed) for needed in _dependencies(task)]
        if task.trigger_policy.strategy == task.trigger_policy.ALL_UPSTREAM_TASKS_COMPLETED:
            return True if all(needs) else None
        if any(need is not None and need.state in ("failed", "skipped") for need in needs):
            return False
        return True if all(needs) else None

    # --- the driver -----------------------------------------------------------------------------

    def _step(self, dag: _Dag, name: str) -> StepResult:
        task = dag.tasks[name]
        component = self.spec.components[task.component_ref.name]
        given = pb.ExecutorInput()
        self._resolve(dag, task, component, given)
        if task.trigger_policy.condition and not holds(task.trigger_policy.condition, given):
            return StepResult("skipped")
        if component.HasField("dag"):
            inner = _Dag(f"{dag.path}{name}/", dict(component.dag.tasks), given.inputs)
            return StepResult("done" if self._execute(inner) else "failed")
        container = self.deployment.executors[component.executor_label].container
        self._provision(name, component, given)
        key = self._cache_key(given, component, container)
        if task.caching_options.enable_cache and key in self.cluster.cache:
            earlier = self.cluster.cache[key]
            return StepResult("cached", artifacts=earlier.artifacts, parameters=earlier.parameters)
        for attempt in range(1, task.retry_policy.max_retry_count + 2):
            result = self._launch(name, component, container, given, attempt)
            if result.state == "done":
                break
        if result.state == "done" and task.caching_options.enable_cache:
            self.cluster.cache[key] = result
        return result

    def _resolve(
        self, dag: _Dag, task: pb.PipelineTaskSpec, component: pb.ComponentSpec, given: pb.ExecutorInput
    ) -> None:
        for key, source in task.inputs.artifacts.items():
            if source.WhichOneof("kind") == "component_input_artifact":
                given.inputs.artifacts[key].CopyFrom(dag.given.artifacts[source.component_input_artifact])
                continue
            made = source.task_output_artifact
            number = self.results[dag.path + made.producer_task].artifacts[made.output_artifact_key]
            given.inputs.artifacts[key].artifacts.append(runtime_artifact(self.cluster.artifacts[number]))
        for key, source in task.inputs.parameters.items():
            kind = source.WhichOneof("kind")
            value = given.inputs.parameter_values[key]
            if kind == "component_input_parameter":
                value.CopyFrom(dag.given.parameter_values[source.component_input_parameter])
            elif kind == "task_output_parameter":
                made = source.task_output_parameter
                found = self.results[dag.path + made.producer_task].parameters[made.output_parameter_key]
                json_format.ParseDict(found, value)
            elif kind == "task_final_status":
                value.CopyFrom(self._final_status(dag, task))
            else:
                assert source.runtime_value.WhichOneof("value") == "constant", kind
                value.CopyFrom(source.runtime_value.constant)
                placeholders = {
                    "{{$.pipeline_job_uuid}}": self.id,
                    "{{$.pipeline_job_create_time_utc}}": self.created,
                    "{{$.pipeline_job_schedule_time_utc}}": self.created,
                }
                if value.string_value in placeholders:
                    value.string_value = placeholders[value.string_value]
            declared = component.input_definitions.parameters[key].parameter_type
            _check_type(key, declared, value)

    def _final_status(self, dag: _Dag, task: pb.PipelineTaskSpec) -> struct_pb2.Value:
        """What an exit task learns about the task that it follows: a state of the metadata store, and an empty error."""
        followed = task.dependent_tasks[0]
        state = "FAILED" if self.results[dag.path + followed].state == "failed" else "COMPLETE"
        told = struct_pb2.Value()
        told.struct_value.update(
            {"state": state, "pipelineTaskName": followed, "pipelineJobResourceName": self.id, "error": {}}
        )
        return told

    def _provision(self, name: str, component: pb.ComponentSpec, given: pb.ExecutorInput) -> None:
        root = f"{PIPELINE_ROOT}/{self.spec.pipeline_info.name}/{self.id}/{name}/{uuid.uuid4()}"
        for key, declared in component.output_definitions.artifacts.items():
            artifact = given.outputs.artifacts[key].artifacts.add(name=key, uri=f"{root}/{key}")
            artifact.type.CopyFrom(declared.artifact_type)
            artifact.metadata.CopyFrom(declared.metadata)
        logs = given.outputs.artifacts["executor-logs"].artifacts.add(
            name="executor-logs", uri=f"{root}/executor-logs"
        )
        logs.type.schema_title = "system.Artifact"
        for key in component.output_definitions.parameters:
            given.outputs.parameters[key].output_file = f"outputs/{key}"
        given.outputs.output_file = "output_metadata.json"

    def _cache_key(self, given: pb.ExecutorInput, component: pb.ComponentSpec, container: Any) -> str:
        outputs = {}
        for key, several in given.outputs.artifacts.items():
            planned = json_format.MessageToDict(several.artifacts[0])
            outputs[key] = {k: v for k, v in planned.items() if k != "uri"}
        parts = {
            "pipeline": self.spec.pipeline_info.name,
            "artifacts": {k: [a.name for a in v.artifacts] for k, v in given.inputs.artifacts.items()},
            "parameters": {k: json_format.MessageToDict(v) for k, v in given.inputs.parameter_values.items()},
            "outputs": outputs,
            "output parameters": sorted(given.outputs.parameters),
            "command": [*container.command, *container.args],
            "image": container.image,
            "claims": sorted(
                mount["constant"]
                for mount in self.kubernetes.get(component.executor_label, {}).get("pvcMount", [])
            ),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _launch(
        self, name: str, component: pb.ComponentSpec, container: Any, planned: pb.ExecutorInput, attempt: int
    ) -> StepResult:
        pod = self.cluster.folder / "pods" / f"{self.id[:8]}-{name}-{attempt}"
        kill = self.evict(name, attempt)
        ended = launch(
            container, component, planned, pod, self.cluster.stored, self.cluster.environment, kill
        )
        if ended.exit_code:
            return StepResult("failed", attempt, ended.exit_code, ended.log)
        made = {key: self.cluster.record(artifact, key) for key, artifact in ended.artifacts.items()}
        return StepResult("done", attempt, 0, ended.log, made, ended.parameters)


def _dependencies(task: pb.PipelineTaskSpec) -> set[str]:
    needs = set(task.dependent_tasks)
    needs |= {a.task_output_artifact.producer_task for a in task.inputs.artifacts.values()}
    needs |= {p.task_output_parameter.producer_task for p in task.inputs.parameters.values()}
    return needs - {""}


def _check_type(key: str, declared: int, value: struct_pb2.Value) -> None:
    name = pb.ParameterType.ParameterTypeEnum.Name(declared)
    numbers = ("NUMBER_INTEGER", "NUMBER_DOUBLE")
    expected = {"STRING": "string_value", "BOOLEAN": "bool_value", "TASK_FINAL_STATUS": "struct_value"}
    expected |= dict.fromkeys(numbers, "number_value")
    kind = value.WhichOneof("kind")
    assert kind == expected[name], f"input parameter {key!r} type mismatch: expect {name}, got {kind}"
