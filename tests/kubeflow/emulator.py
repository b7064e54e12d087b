"""Kubeflow's driver and launcher, without Kubeflow: executes a compiled package, each step its own process.

Written from backend/src/v2/{driver,component,metadata,objectstore,cacheutils} of kubeflow/pipelines 2.17.0.
What the real ones do and this does too:

- inputs are resolved from the metadata store, without their type; numbers are doubles, booleans integers,
  lists and structures wrapped, nulls refused; a name is the artifact's id;
- outputs get object-store URIs below the pipeline root, their type, and `executor-logs` beside them;
- the launcher copies inputs from the store, and outputs to it; neither empty folders nor empty files arrive;
- the URI and metadata that the step returns are merged over what the driver planned;
- the cache key has parameters, input ids, output types, command, image and claims;
- steps start when their dependencies succeeded; retries follow the task's policy, without the waiting.

What it does not do: pods, so resources, scheduling, secrets and deadlines have no effect; a claim is the
folder that it is mounted at, which must exist on this machine. The container's root is this machine's:
artifacts get a `customPath`, which the launcher honours too, instead of `/minio/...`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
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

PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"


@dataclass
class StepResult:
    """How one task of a run ended."""

    state: str  # done, cached, failed, skipped
    attempts: int = 0
    exit_code: int = 0
    log: str = ""
    artifacts: dict[str, int] = field(default_factory=dict)  # output -> id in the store
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass
class Cluster:
    """What outlives a run: object store, metadata store and cache.

    Args:
      folder: everything is kept below it.
      environment: of every step, in addition to what the package says.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
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
          package: YAML file as uploaded.
          parameters: values for this run; the others take their defaults.
          evict: called with task and attempt (from 1); True kills that attempt as an eviction would.
          workers: steps at the same time.
        """
        documents = list(yaml.safe_load_all(package.read_text(encoding="utf-8")))
        spec = json_format.ParseDict(documents[0], pb.PipelineSpec())
        platform = documents[1] if len(documents) > 1 else {}
        return _Run(self, spec, platform, dict(parameters or {}), evict).execute(workers)

    def stored(self, uri: str) -> Path:
        """Where the object store keeps a URI."""
        return self.folder / "objects" / uri.partition("://")[2]


class _Run:
    def __init__(
        self,
        cluster: Cluster,
        spec: pb.PipelineSpec,
        platform: Mapping[str, Any],
        parameters: dict[str, Any],
        evict: Callable[[str, int], bool],
    ) -> None:
        self.cluster, self.spec, self.evict = cluster, spec, evict
        self.id = str(uuid.uuid4())
        self.created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.deployment = json_format.ParseDict(
            json_format.MessageToDict(spec.deployment_spec),
            pb.PipelineDeploymentConfig(),
            ignore_unknown_fields=True,
        )
        executors = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
        self.kubernetes = executors.get("executors", {})
        self.root = self._root_parameters(parameters)
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

    def execute(self, workers: int) -> dict[str, StepResult]:
        tasks = dict(self.spec.root.dag.tasks)
        running: dict[Future[StepResult], str] = {}
        with ThreadPoolExecutor(workers) as pool:
            while True:
                for name in sorted(tasks.keys() - self.results.keys() - set(running.values())):
                    needs = [self.results.get(n) for n in _dependencies(tasks[name])]
                    if any(n is not None and n.state in ("failed", "skipped") for n in needs):
                        self.results[name] = StepResult("skipped")
                    elif all(needs):
                        running[pool.submit(self._step, name)] = name
                if not running:
                    if self.results.keys() >= tasks.keys():
                        return self.results
                    continue
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self.results[running.pop(future)] = future.result()

    # --- the driver -----------------------------------------------------------------------------

    def _step(self, name: str) -> StepResult:
        task = self.spec.root.dag.tasks[name]
        component = self.spec.components[task.component_ref.name]
        container = self.deployment.executors[component.executor_label].container
        given = pb.ExecutorInput()
        self._resolve(task, component, given)
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
        self, task: pb.PipelineTaskSpec, component: pb.ComponentSpec, given: pb.ExecutorInput
    ) -> None:
        for key, source in task.inputs.artifacts.items():
            made = source.task_output_artifact
            artifact = self.cluster.artifacts[
                self.results[made.producer_task].artifacts[made.output_artifact_key]
            ]
            given.inputs.artifacts[key].artifacts.append(runtime_artifact(artifact))
        for key, source in task.inputs.parameters.items():
            kind = source.WhichOneof("kind")
            value = given.inputs.parameter_values[key]
            if kind == "component_input_parameter":
                value.CopyFrom(self.root[source.component_input_parameter])
            elif kind == "task_output_parameter":
                made = source.task_output_parameter
                found = self.results[made.producer_task].parameters[made.output_parameter_key]
                json_format.ParseDict(found, value)
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

    # --- the launcher ---------------------------------------------------------------------------

    def _launch(
        self, name: str, component: pb.ComponentSpec, container: Any, planned: pb.ExecutorInput, attempt: int
    ) -> StepResult:
        pod = self.cluster.folder / "pods" / f"{self.id[:8]}-{name}-{attempt}"
        pod.mkdir(parents=True)
        given = pb.ExecutorInput()
        given.CopyFrom(planned)
        self._localize(given, pod)
        process = self._process(container, given, pod)
        if self.evict(name, attempt):
            process.send_signal(signal.SIGKILL)
        log = process.communicate()[0]
        if process.returncode != 0:
            return StepResult("failed", attempt, process.returncode, log)
        result = StepResult("done", attempt, 0, log)
        self._collect(given, planned, component, result)
        shutil.rmtree(pod)
        return result

    def _localize(self, given: pb.ExecutorInput, pod: Path) -> None:
        for several in given.inputs.artifacts.values():
            for artifact in several.artifacts:
                path = pod / "minio" / artifact.uri.partition("://")[2]
                artifact.custom_path = str(path)
                copy_objects(self.cluster.stored(artifact.uri), path)
        for several in given.outputs.artifacts.values():
            for artifact in several.artifacts:
                path = pod / "minio" / artifact.uri.partition("://")[2]
                artifact.custom_path = str(path)
                path.parent.mkdir(parents=True, exist_ok=True)
        for parameter in given.outputs.parameters.values():
            parameter.output_file = str(pod / parameter.output_file)
            Path(parameter.output_file).parent.mkdir(parents=True, exist_ok=True)
        given.outputs.output_file = str(pod / given.outputs.output_file)

    def _process(self, container: Any, given: pb.ExecutorInput, pod: Path) -> subprocess.Popen[str]:
        message = json_format.MessageToJson(given, indent=None)
        command = [text.replace("{{$}}", message) for text in (*container.command, *container.args)]
        assert command[0] == "python"
        command[0] = sys.executable
        environment = {**os.environ, **self.cluster.environment}
        environment |= {variable.name: variable.value for variable in container.env}
        return subprocess.Popen(
            command,
            cwd=pod,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def _collect(
        self,
        given: pb.ExecutorInput,
        planned: pb.ExecutorInput,
        component: pb.ComponentSpec,
        result: StepResult,
    ) -> None:
        returned = pb.ExecutorOutput()
        output_file = Path(given.outputs.output_file)
        if output_file.exists():
            json_format.Parse(output_file.read_text(encoding="utf-8"), returned)  # strictly
        for key, parameter in given.outputs.parameters.items():
            declared = component.output_definitions.parameters[key].parameter_type
            result.parameters[key] = _from_text(Path(parameter.output_file).read_text(), declared)
        for key, several in given.outputs.artifacts.items():
            if key == "executor-logs":
                continue
            artifact = pb.RuntimeArtifact()
            artifact.CopyFrom(planned.outputs.artifacts[key].artifacts[0])
            if key in returned.artifacts:
                mine = returned.artifacts[key].artifacts[0]
                artifact.uri = mine.uri or artifact.uri
                artifact.metadata.update(json_format.MessageToDict(mine.metadata))
            assert artifact.uri.startswith(PIPELINE_ROOT), f"{key}: not in the object store: {artifact.uri}"
            copy_objects(Path(several.artifacts[0].custom_path), self.cluster.stored(artifact.uri))
            with self.cluster.lock:
                number = len(self.cluster.artifacts) + 1
                self.cluster.artifacts[number] = recorded(artifact, number, key)
            result.artifacts[key] = number


def _dependencies(task: pb.PipelineTaskSpec) -> set[str]:
    needs = set(task.dependent_tasks)
    needs |= {a.task_output_artifact.producer_task for a in task.inputs.artifacts.values()}
    needs |= {p.task_output_parameter.producer_task for p in task.inputs.parameters.values()}
    return needs - {""}


def _check_type(key: str, declared: int, value: struct_pb2.Value) -> None:
    name = pb.ParameterType.ParameterTypeEnum.Name(declared)
    numbers = ("NUMBER_INTEGER", "NUMBER_DOUBLE")
    expected = {"STRING": "string_value", "BOOLEAN": "bool_value", **dict.fromkeys(numbers, "number_value")}
    kind = value.WhichOneof("kind")
    assert kind == expected[name], f"input parameter {key!r} type mismatch: expect {name}, got {kind}"


def _from_text(text: str, declared: int) -> Any:
    name = pb.ParameterType.ParameterTypeEnum.Name(declared)
    return text if name == "STRING" else json.loads(text)


def copy_objects(source: Path, target: Path) -> None:
    """Copies what an object store carries: files with content."""
    if source.is_file():
        files = [source]
    else:
        files = [path for path in source.rglob("*") if path.is_file()] if source.exists() else []
    for path in files:
        if path.stat().st_size:
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def recorded(artifact: pb.RuntimeArtifact, number: int, output: str) -> mlmd.Artifact:
    """What the metadata store keeps of an artifact: everything as custom properties.

    Raises:
      ValueError: a property is null.
    """
    kept = mlmd.Artifact(id=number, uri=artifact.uri)
    for key, value in artifact.metadata.fields.items():
        kind, target = value.WhichOneof("kind"), kept.custom_properties[key]
        if kind == "string_value":
            target.string_value = value.string_value
        elif kind == "number_value":
            target.double_value = value.number_value
        elif kind == "bool_value":
            target.int_value = int(value.bool_value)
        elif kind == "list_value":
            target.struct_value["list"] = json_format.MessageToDict(value.list_value)
        elif kind == "struct_value":
            target.struct_value["struct"] = json_format.MessageToDict(value.struct_value)
        else:
            raise ValueError(f"unknown/unsupported value type of property {key!r}: {kind}")
    kept.custom_properties["display_name"].string_value = output
    kept.custom_properties["store_session_info"].string_value = '{"Provider":"minio"}'
    return kept


def runtime_artifact(kept: mlmd.Artifact) -> pb.RuntimeArtifact:
    """What a consumer gets to see: no type, its id for a name, numbers as doubles."""
    artifact = pb.RuntimeArtifact(name=str(kept.id), uri=kept.uri)
    for key, value in kept.custom_properties.items():
        kind = value.WhichOneof("value")
        plain = getattr(value, kind)
        if kind == "struct_value":
            plain = json_format.MessageToDict(plain)
        artifact.metadata[key] = float(plain) if kind in ("int_value", "double_value") else plain
    return artifact
