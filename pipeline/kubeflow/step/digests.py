"""Digests of artifacts between steps, by content: paths and times of an artifact differ from pod to pod.

A step's output carries the digest of its files as a property, which the metadata store keeps, also for steps that
are cached. The step that reads it holds what the launcher has copied to that.
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
    """Raises PipelineError when an input is not, byte for byte, what its step has written."""
    for key, artifact in _local(inputs):
        written = artifact.get_string_custom_property(CONTENT_SHA256)
        if written and content_sha256(Path(artifact.uri)) != written:
            raise PipelineError(
                f"input {key} at {artifact.uri}: damaged, its files are not those that its step wrote (sha256 "
                "differs); run again with caching off for the step that makes it"
            )


def record(outputs: Artifacts) -> None:
    """Sets the property on what a step has written."""
    for _, artifact in _local(outputs):
        artifact.set_string_custom_property(CONTENT_SHA256, content_sha256(Path(artifact.uri)))


def _local(artifacts: Artifacts) -> Iterator[tuple[str, Artifact]]:
    """Those whose files this pod has; workers on other machines read and write the object store itself."""
    for key, several in artifacts.items():
        for artifact in several:
            if "://" not in artifact.uri:
                yield key, artifact
