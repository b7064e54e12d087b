"""Converts artifacts between Kubeflow's launcher and TFX executors.

The launcher keeps an artifact `minio://bucket/key` at `/minio/bucket/key` in the container. It passes artifacts
without their type, with every property as a double, a string or a wrapped structure, and it does not accept nulls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.types import artifact as tfx_artifact
from tfx.types.value_artifact import ValueArtifact
from tfx.utils import import_utils

from components.baseline.executor import ABSENT
from components.report.artifacts import PAGES
from models.errors import PipelineError

Artifacts = dict[str, list[tfx_artifact.Artifact]]

MOUNTS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}
# Custom properties that belong to Kubeflow.
_KUBEFLOW_KEYS = frozenset({"display_name", "store_session_info", "_kfp_workspace"})


def local_path(runtime: pipeline_spec_pb2.RuntimeArtifact) -> str:
    """The path where the launcher keeps the artifact in this container.

    `minio://bucket/v2/artifacts/x -> /minio/bucket/v2/artifacts/x`. A custom path takes precedence; a plain path is
    returned unchanged.
    """
    if runtime.custom_path:
        return str(runtime.custom_path)
    for scheme, mount in MOUNTS.items():
        if runtime.uri.startswith(scheme):
            return mount + str(runtime.uri).removeprefix(scheme)
    return str(runtime.uri)


def remote_path(runtime: pipeline_spec_pb2.RuntimeArtifact) -> str:
    """The artifact's URI in the object store, for Beam workers without access to this container's files.

    Raises:
        PipelineError: Beam cannot open the URI.
    """
    if not runtime.uri.startswith("gs://"):
        raise PipelineError(
            f"beam: this step's workers are on other machines and cannot read {runtime.uri}; give the run a "
            "pipeline root gs://..., or run Beam in the step's own pod: beam.runner direct"
        )
    return str(runtime.uri)


def read_inputs(
    inputs: Mapping[str, pipeline_spec_pb2.ArtifactList],
    classes: Mapping[str, str],
    path: Callable[[pipeline_spec_pb2.RuntimeArtifact], str] = local_path,
) -> Artifacts:
    """Returns input artifacts for TFX, by key, without those that their producer marked absent.

    Args:
        inputs: `ExecutorInput.inputs.artifacts`.
        classes: key -> dotted path of the artifact class, from the step's wiring.
        path: returns the URI of an artifact for the executor.
    """
    all_inputs = {
        key: [_typed(runtime, classes[key], path(runtime)) for runtime in inputs[key].artifacts]
        for key in classes
        if key in inputs
    }
    return {
        key: [a for a in artifacts if a.get_int_custom_property(ABSENT) != 1]
        for key, artifacts in all_inputs.items()
    }


def make_outputs(
    outputs: Mapping[str, pipeline_spec_pb2.ArtifactList],
    classes: Mapping[str, str],
    path: Callable[[pipeline_spec_pb2.RuntimeArtifact], str] = local_path,
) -> Artifacts:
    """Returns output artifacts for the executor to fill, by key; `executor-logs` is left to the launcher."""
    return {
        key: [_typed(runtime, classes[key], path(runtime)) for runtime in outputs[key].artifacts]
        for key in classes
    }


def is_folder(artifact: tfx_artifact.Artifact) -> bool:
    """Whether the executor expects a folder at the artifact's URI; values and the dashboard's pages are files."""
    return not isinstance(artifact, (ValueArtifact, *PAGES))


def executor_output(
    outputs: Mapping[str, pipeline_spec_pb2.ArtifactList], filled: Artifacts
) -> pipeline_spec_pb2.ExecutorOutput:
    """Returns the outputs for the launcher: the object-store URIs that it passed, and the properties."""
    result = pipeline_spec_pb2.ExecutorOutput()
    for key, artifacts in filled.items():
        for runtime, artifact in zip(outputs[key].artifacts, artifacts, strict=True):
            output = result.artifacts[key].artifacts.add(name=runtime.name, uri=runtime.uri)
            json_format.ParseDict(_metadata(artifact), output.metadata)
    return result


def _typed(runtime: pipeline_spec_pb2.RuntimeArtifact, class_path: str, path: str) -> tfx_artifact.Artifact:
    artifact = import_utils.import_class_by_path(class_path)()
    artifact.uri = path
    if runtime.name.isdecimal():  # the name of an input is its id in the metadata store
        artifact.id = int(runtime.name)
    declared = artifact.artifact_type.properties
    for key, value in json_format.MessageToDict(runtime.metadata).items():
        if key in _KUBEFLOW_KEYS or value is None:
            continue
        if key in declared:
            _set_declared(artifact.mlmd_artifact.properties[key], declared[key], value)
        else:
            _set_custom(artifact, key, _unwrapped(value))
    return artifact


def _set_declared(field: mlmd.Value, kind: int, value: Any) -> None:
    if kind == mlmd.INT:
        field.int_value = int(value)
    elif kind == mlmd.DOUBLE:
        field.double_value = float(value)
    elif kind == mlmd.STRING:
        field.string_value = str(value)
    else:
        field.struct_value.CopyFrom(tfx_artifact._encode_struct_value(_unwrapped(value)))


def _set_custom(artifact: tfx_artifact.Artifact, key: str, value: Any) -> None:
    if isinstance(value, str):
        artifact.set_string_custom_property(key, value)
    elif isinstance(value, bool):
        artifact.set_int_custom_property(key, int(value))
    elif isinstance(value, float) and not value.is_integer():
        artifact.set_float_custom_property(key, value)
    elif isinstance(value, int | float):
        artifact.set_int_custom_property(key, int(value))
    else:
        artifact.set_json_value_custom_property(key, value)


def _unwrapped(value: Any) -> Any:
    """Removes the wrapping of the metadata client: `{"list": [1.0]} -> [1.0]`, `{"struct": {...}} -> {...}`."""
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if (key == "list" and isinstance(inner, list)) or (key == "struct" and isinstance(inner, dict)):
            return inner
    return value


def _metadata(artifact: tfx_artifact.Artifact) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for properties in (artifact.mlmd_artifact.properties, artifact.mlmd_artifact.custom_properties):
        for key, value in properties.items():
            plain = _plain(value)
            if plain is not None:
                metadata[key] = plain
    return metadata


def _plain(value: mlmd.Value) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "struct_value":
        return _without_nulls(tfx_artifact._decode_struct_value(value.struct_value))
    return getattr(value, kind)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value


def parameter(value: struct_pb2.Value, integer: bool) -> Any:
    """A parameter's plain value. JSON has one type of number, TFX has two."""
    plain = json_format.MessageToDict(value)
    return int(plain) if integer else plain
