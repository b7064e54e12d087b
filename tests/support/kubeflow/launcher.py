"""Kubeflow's launcher: what it does before and after the command of a step in its container.

Written from backend/src/v2/{component,objectstore} of kubeflow/pipelines 2.17.0. The container's root is this
machine's: artifacts get a `customPath`, which the launcher honours too, instead of `/minio/...`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb


@dataclass
class Ended:
    """How one attempt of a step ended, and what it made."""

    exit_code: int
    log: str
    artifacts: dict[str, pb.RuntimeArtifact] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)


def launch(
    container: Any,
    component: pb.ComponentSpec,
    planned: pb.ExecutorInput,
    pod: Path,
    stored: Callable[[str], Path],
    environment: Mapping[str, str],
    kill: bool = False,
) -> Ended:
    """Runs the command of a step, between copies from and to the object store.

    Args:
        container: of the package.
        component: of the package.
        planned: what the driver made.
        pod: folder to work in; left behind when the step fails.
        stored: where the object store keeps a URI.
        environment: of the process, in addition to what the package says.
        kill: ends it as an eviction would.
    """
    pod.mkdir(parents=True)
    given = pb.ExecutorInput()
    given.CopyFrom(planned)
    _localize(given, pod, stored)
    process = _process(container, given, pod, environment)
    if kill:
        process.send_signal(signal.SIGKILL)
    log = process.communicate()[0]
    ended = Ended(process.returncode, log)
    if ended.exit_code == 0:
        _collect(given, planned, component, stored, ended)
        shutil.rmtree(pod)
    return ended


def _localize(given: pb.ExecutorInput, pod: Path, stored: Callable[[str], Path]) -> None:
    for several in given.inputs.artifacts.values():
        for artifact in several.artifacts:
            path = pod / "minio" / artifact.uri.partition("://")[2]
            artifact.custom_path = str(path)
            copy_objects(stored(artifact.uri), path)
    for several in given.outputs.artifacts.values():
        for artifact in several.artifacts:
            path = pod / "minio" / artifact.uri.partition("://")[2]
            artifact.custom_path = str(path)
            path.parent.mkdir(parents=True, exist_ok=True)
    for parameter in given.outputs.parameters.values():
        parameter.output_file = str(pod / parameter.output_file)
        Path(parameter.output_file).parent.mkdir(parents=True, exist_ok=True)
    given.outputs.output_file = str(pod / given.outputs.output_file)


def _process(
    container: Any, given: pb.ExecutorInput, pod: Path, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    message = json_format.MessageToJson(given, indent=None)
    command = [text.replace("{{$}}", message) for text in (*container.command, *container.args)]
    assert command[0] == "python"
    command[0] = sys.executable
    variables = {variable.name: variable.value for variable in container.env}
    return subprocess.Popen(
        command,
        cwd=pod,
        env={**os.environ, **environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _collect(
    given: pb.ExecutorInput,
    planned: pb.ExecutorInput,
    component: pb.ComponentSpec,
    stored: Callable[[str], Path],
    ended: Ended,
) -> None:
    returned = pb.ExecutorOutput()
    output_file = Path(given.outputs.output_file)
    if output_file.exists():
        json_format.Parse(output_file.read_text(encoding="utf-8"), returned)  # strictly
    for key, parameter in given.outputs.parameters.items():
        declared = component.output_definitions.parameters[key].parameter_type
        ended.parameters[key] = _from_text(Path(parameter.output_file).read_text(), declared)
    for key, several in given.outputs.artifacts.items():
        if key == "executor-logs":
            continue
        artifact = pb.RuntimeArtifact()
        artifact.CopyFrom(planned.outputs.artifacts[key].artifacts[0])
        root = artifact.uri.removesuffix(key)
        if key in returned.artifacts:
            mine = returned.artifacts[key].artifacts[0]
            artifact.uri = mine.uri or artifact.uri
            artifact.metadata.update(json_format.MessageToDict(mine.metadata))
        assert artifact.uri.startswith(root), f"{key}: not where the driver wants it: {artifact.uri}"
        copy_objects(Path(several.artifacts[0].custom_path), stored(artifact.uri))
        ended.artifacts[key] = artifact


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
