"""How Kubeflow's metadata store records an artifact: backend/src/v2/metadata of kubeflow/pipelines 2.17.0."""

from __future__ import annotations

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb
from ml_metadata.proto import metadata_store_pb2 as mlmd


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
