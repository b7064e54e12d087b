"""Verifies artifacts between steps by the digest of their content, because paths and times differ between pods.

The digest of a step's output is a property of the artifact, which the metadata store keeps for cached steps too. A
step that reads the artifact compares the launcher's copy with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tfx.types.artifact import Artifact

from components.manifest import content_sha256
from models.errors import PipelineError

CONTENT_SHA256 = "content_sha256"

Artifacts = dict[str, list[Artifact]]


def require_whole(inputs: Artifacts) -> None:
    """Raises PipelineError if an input differs from what its step wrote."""
    for key, artifact in _local(inputs):
        written = artifact.get_string_custom_property(CONTENT_SHA256)
        if written and content_sha256(Path(artifact.uri)) != written:
            raise PipelineError(
                f"input {key} at {artifact.uri}: damaged, its files are not those that its step wrote (sha256 "
                "differs); run again with caching disabled for the step that produces it"
            )


def record(outputs: Artifacts) -> None:
    """Sets the property of the artifacts that a step has written."""
    for _, artifact in _local(outputs):
        artifact.set_string_custom_property(CONTENT_SHA256, content_sha256(Path(artifact.uri)))


def _local(artifacts: Artifacts) -> Iterator[tuple[str, Artifact]]:
    """Yields the artifacts whose files are in this pod; Beam workers on other machines use the object store."""
    for key, several in artifacts.items():
        for artifact in several:
            if "://" not in artifact.uri:
                yield key, artifact
