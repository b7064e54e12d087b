"""Checks what a self-hosted Kubeflow Pipelines server (2.5 to 2.17) accepts, without a server.

Written from the rules of the API server and its Argo compiler; where a rule comes from is named beside it
(paths in the kubeflow/pipelines repository, at 2.17.0). The SDK's own loader is no such check: it takes
schema 2.0.0 and resolvers, which the server refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from google.protobuf import json_format
from google.protobuf.message import Message
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from tests.support.kubeflow.conditions import condition_problems

SCHEMA_VERSION = "2.1.0"
_PIPELINE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_TASK_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")  # Argo's, for templates and tasks
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+)?")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_PLACEHOLDER = re.compile(r"\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\['([^']*)'\]")
_RESOURCES = (
    "resourceCpuLimit",
    "resourceCpuRequest",
    "resourceMemoryLimit",
    "resourceMemoryRequest",
)
_KINDS = {
    "STRING": ("string_value",),
    "NUMBER_INTEGER": ("number_value",),
    "NUMBER_DOUBLE": ("number_value",),
    "BOOLEAN": ("bool_value",),
    "LIST": ("list_value",),
    "STRUCT": ("struct_value",),
    "TASK_FINAL_STATUS": ("struct_value",),
}


def refusals(package: str) -> list[str]:
    """Returns why the server would not take or not run the package; empty when it would.

    Args:
        package: content of the uploaded file.
    """
    try:
        documents = [d for d in yaml.safe_load_all(package) if d is not None]
    except yaml.YAMLError as error:
        return [f"not YAML: {error}"]
    specs, platforms, problems = [], [], []
    for document in documents:
        spec, platform = _parsed(document, pb.PipelineSpec()), _parsed(document, pb.PlatformSpec())
        if isinstance(spec, pb.PipelineSpec) and spec.pipeline_info.name and spec.HasField("root"):
            specs.append(spec)
        elif isinstance(platform, pb.PlatformSpec) and "kubernetes" in platform.platforms:
            platforms.append(platform)
        else:
            problems.append(f"a document is neither a PipelineSpec nor a platform spec: {spec}")
    # apiserver/template/v2_template.go: NewV2SpecTemplate
    if len(specs) != 1:
        return [*problems, f"{len(specs)} pipeline specs, must be one"]
    if len(platforms) > 1:
        problems.append("multiple platform specs")
    spec = specs[0]
    if spec.schema_version != SCHEMA_VERSION:
        problems.append(f"schema version {spec.schema_version!r}, only {SCHEMA_VERSION} is supported")
    problems += _spec_problems(spec)
    for platform in platforms:
        problems += _platform_problems(platform, spec)
    return problems


def _parsed(document: Any, message: Message) -> Message | str:
    """The message, or why strict parsing refuses the document."""
    try:
        return json_format.Parse(json.dumps(document), message)
    except (json_format.ParseError, TypeError) as error:
        return str(error)


def _spec_problems(spec: pb.PipelineSpec) -> Iterator[str]:
    if not _PIPELINE_NAME.fullmatch(spec.pipeline_info.name):
        yield f"pipeline name {spec.pipeline_info.name!r}: lower case letters, digits, - and . only"
    # v2/compiler/visitor.go: GetDeploymentConfig discards what it does not know
    deployment = json_format.ParseDict(
        json_format.MessageToDict(spec.deployment_spec),
        pb.PipelineDeploymentConfig(),
        ignore_unknown_fields=True,
    )
    # v2_template.go: validatePipelineJobInputs, for a run that sets nothing
    for name, declared in spec.root.input_definitions.parameters.items():
        if not declared.parameter_type:
            yield f"input parameter {name} has unspecified type"
        elif not declared.is_optional and not declared.HasField("default_value"):
            yield f"parameter {name} is not optional, yet has neither default value nor user provided value"
    yield from _dag_problems("root", spec.root, spec, deployment)


def _dag_problems(
    name: str, component: pb.ComponentSpec, spec: pb.PipelineSpec, deployment: pb.PipelineDeploymentConfig
) -> Iterator[str]:
    tasks = component.dag.tasks
    if not tasks:
        yield f"DAG {name} must contain one or more tasks"
    for task_name, task in sorted(tasks.items()):
        where = f"task {task_name}"
        if not _TASK_NAME.fullmatch(task_name) or len(task_name) > 100:
            yield f"{where}: Argo takes letters, digits and - in a name"
        reference = task.component_ref.name
        if reference not in spec.components:
            yield f"{where}: component ref {reference!r} not found"
            continue
        used = spec.components[reference]
        for problem in _task_problems(task, used, component, spec):
            yield f"{where}: {problem}"
        if used.HasField("dag"):
            yield from _dag_problems(reference, used, spec, deployment)
        else:
            for problem in _executor_problems(used, deployment):
                yield f"{where}: {problem}"
    yield from _cycles(tasks)


def _task_problems(
    task: pb.PipelineTaskSpec, component: pb.ComponentSpec, parent: pb.ComponentSpec, spec: pb.PipelineSpec
) -> Iterator[str]:
    tasks = parent.dag.tasks
    for dependency in task.dependent_tasks:
        if dependency not in tasks:
            yield f"depends on unknown task {dependency!r}"
    for key, source in task.inputs.artifacts.items():
        if source.WhichOneof("kind") == "task_output_artifact":
            made = source.task_output_artifact
            yield from _producer_problem(made.producer_task, made.output_artifact_key, tasks, spec, False)
        elif source.component_input_artifact not in parent.input_definitions.artifacts:
            yield f"input {key}: no such input of the parent: {source.component_input_artifact!r}"
    for key, given in task.inputs.parameters.items():
        for problem in _parameter_problems(
            given, component.input_definitions.parameters.get(key), parent, spec
        ):
            yield f"parameter {key}: {problem}"
    # v2/driver/resolve.go: handleParamTypeValidationAndConversion
    for key, declared in component.input_definitions.parameters.items():
        missing = key not in task.inputs.parameters and not declared.HasField("default_value")
        if missing and not declared.is_optional:
            yield f"neither value nor default value provided for non-optional parameter {key!r}"
    for key in component.input_definitions.artifacts:
        if key not in task.inputs.artifacts and not component.input_definitions.artifacts[key].is_optional:
            yield f"input artifact {key!r} is not given"
    if task.trigger_policy.condition:
        yield from condition_problems(task.trigger_policy.condition, component)


def _producer_problem(
    producer: str, key: str, tasks: Mapping[str, pb.PipelineTaskSpec], spec: pb.PipelineSpec, parameter: bool
) -> Iterator[str]:
    # v2/compiler/argocompiler/dag.go: addImplicitDependencies
    if producer not in tasks:
        yield f"unknown producer task {producer!r}"
        return
    reference = tasks[producer].component_ref.name
    if reference not in spec.components:  # reported when the producer itself is checked
        return
    made = spec.components[reference].output_definitions
    if key not in (made.parameters if parameter else made.artifacts):
        yield f"task {producer!r} has no output {key!r}"


def _parameter_problems(
    given: pb.TaskInputsSpec.InputParameterSpec,
    declared: pb.ComponentInputsSpec.ParameterSpec | None,
    parent: pb.ComponentSpec,
    spec: pb.PipelineSpec,
) -> Iterator[str]:
    if declared is None:
        yield "not declared by the component"
        return
    kind = pb.ParameterType.ParameterTypeEnum.Name(declared.parameter_type)
    if kind not in _KINDS:
        yield f"type {kind} is unknown"
        return
    source = given.WhichOneof("kind")
    if source == "task_output_parameter":
        made = given.task_output_parameter
        yield from _producer_problem(
            made.producer_task, made.output_parameter_key, parent.dag.tasks, spec, True
        )
    elif source == "component_input_parameter":
        outer = parent.input_definitions.parameters.get(given.component_input_parameter)
        if outer is None:
            yield f"parent DAG does not have input parameter {given.component_input_parameter!r}"
        elif outer.parameter_type != declared.parameter_type and kind != "STRING":
            yield f"type mismatch with input parameter {given.component_input_parameter!r}"
    elif source == "runtime_value":
        value = given.runtime_value
        if value.WhichOneof("value") != "constant":  # resolveInputParameter
            yield f"runtime value of type {value.WhichOneof('value')} not implemented"
        elif kind != "STRING" and value.constant.WhichOneof("kind") not in _KINDS[kind]:
            yield f"type mismatch: expect {kind}, got {value.constant.WhichOneof('kind')}"
    elif source != "task_final_status":
        yield f"parameter spec of type {source} not implemented"


def _executor_problems(component: pb.ComponentSpec, deployment: pb.PipelineDeploymentConfig) -> Iterator[str]:
    label = component.executor_label
    if label not in deployment.executors:
        yield f"executor (label {label!r}) not found in deployment config"
        return
    executor = deployment.executors[label]
    kind = executor.WhichOneof("spec")
    if kind not in ("container", "importer"):  # v2/compiler/visitor.go: dfs
        yield f"executor {label!r}: non-container and non-importer executor not implemented ({kind})"
    if kind == "container":
        yield from _container_problems(executor.container, component)


def _container_problems(
    container: pb.PipelineDeploymentConfig.PipelineContainerSpec, component: pb.ComponentSpec
) -> Iterator[str]:
    if not container.image or re.search(r"\s", container.image):
        yield f"image {container.image!r} is no image reference"
    if not [*container.command, *container.args]:  # launcher_v2.go: NewLauncherV2
        yield "command and arguments are empty"
    for text in (*container.command, *container.args):
        if len(text.encode()) > 128 * 1024:  # MAX_ARG_STRLEN of Linux
            yield "an argument is longer than 128 KiB: exec refuses it"
        for side, what, name in _PLACEHOLDER.findall(text):
            declared = component.input_definitions if side == "inputs" else component.output_definitions
            if name not in getattr(declared, what):
                yield f"placeholder names unknown {what} {name!r}"
    for variable in container.env:
        if not _ENV_NAME.fullmatch(variable.name):
            yield f"{variable.name!r} is no name of an environment variable"
    resources = json_format.MessageToDict(container.resources)
    for field in _RESOURCES:
        if field in resources and not _QUANTITY.fullmatch(resources[field]):
            yield f"{field}: quantities must match the regular expression, got {resources[field]!r}"
    accelerator = container.resources.accelerator
    kind = accelerator.resource_type or accelerator.type
    if kind and (
        "/" not in kind or not _QUANTITY.fullmatch(accelerator.resource_count or str(accelerator.count))
    ):
        yield f"accelerator {kind!r} is no extended resource such as nvidia.com/gpu"


def _cycles(tasks: Mapping[str, pb.PipelineTaskSpec]) -> Iterator[str]:
    waits: dict[str, set[str]] = {}
    for name, task in tasks.items():
        waits[name] = set(task.dependent_tasks)
        for artifact in task.inputs.artifacts.values():
            waits[name].add(artifact.task_output_artifact.producer_task)
        for parameter in task.inputs.parameters.values():
            waits[name].add(parameter.task_output_parameter.producer_task)
        waits[name].discard("")
    done: set[str] = set()
    while ready := [name for name in waits if name not in done and waits[name] & waits.keys() <= done]:
        done.update(ready)
    if done != waits.keys():
        yield f"tasks wait for each other: {', '.join(sorted(waits.keys() - done))}"


def _platform_problems(platform: pb.PlatformSpec, spec: pb.PipelineSpec) -> Iterator[str]:
    labels = {c.executor_label for c in spec.components.values() if c.executor_label}
    for label, struct in platform.platforms["kubernetes"].deployment_spec.executors.items():
        if label not in labels:
            yield f"platform: no executor {label!r}"
        config = _parsed(json_format.MessageToDict(struct), KubernetesExecutorConfig())
        if isinstance(config, str):
            yield f"platform: executor {label!r}: {config}"
            continue
        for problem in _kubernetes_problems(config):
            yield f"platform: executor {label!r}: {problem}"


def _kubernetes_problems(config: Any) -> Iterator[str]:
    names = [m.constant for m in config.pvc_mount]
    names += [s.secret_name for s in (*config.secret_as_volume, *config.secret_as_env)]
    names += [s.secret_name for s in config.image_pull_secret]
    for name in names:
        if not _DNS_NAME.fullmatch(name) or len(name) > 253:
            yield f"{name!r} is no Kubernetes name"
    # v2/driver/k8s.go names volumes so; Kubernetes takes a label, once
    volumes = [m.constant for m in config.pvc_mount] + [s.secret_name for s in config.secret_as_volume]
    volumes += [mount.volume_name for mount in config.empty_dir_mounts]
    for name in volumes:
        if "." in name or len(name) > 63 or volumes.count(name) > 1:
            yield f"{name!r} is no name for one volume of a pod"
    mounts = [*config.pvc_mount, *config.secret_as_volume, *config.empty_dir_mounts]
    paths = [mount.mount_path for mount in mounts]
    for path in paths:
        if not path.startswith("/") or ":" in path or paths.count(path) > 1:
            yield f"mount path {path!r} must be absolute and used once"
    for secret in config.secret_as_env:
        for key in secret.key_to_env:
            if not _ENV_NAME.fullmatch(key.env_var):
                yield f"{key.env_var!r} is no name of an environment variable"
    for mount in config.empty_dir_mounts:
        if mount.size_limit and not _QUANTITY.fullmatch(mount.size_limit):
            yield f"size limit {mount.size_limit!r} is no quantity"
    for toleration in config.tolerations:
        if toleration.operator not in ("", "Exists", "Equal"):
            yield f"toleration operator {toleration.operator!r}"
