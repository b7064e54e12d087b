"""Compares every artifact that a run uses with the digests that were recorded when it was written.

- The digests of a node's outputs are recorded before the outputs are published.
- TFX reuses cached outputs as long as they exist; here they must also be undamaged. Normally each file's size, times
  and inode are compared; `--verify` reads all files.
- A node's inputs are read in full before the node runs, unless this run has already read them.

A damaged artifact is marked DELETED in the metadata store. The cache and the resolvers skip it, so the node
that made it runs again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.types import artifact_utils

from components import manifest
from models.errors import PipelineError

Artifacts = Mapping[str, Sequence[Any]]


class ArtifactChecks:
    """The checks of one run.

    Args:
        store: the metadata store.
        pipeline_root: folder with a folder for each node.
        say: called with one line for each artifact that a node has to make again.
        thorough: read cached artifacts in full instead of comparing their files' sizes, times and inodes.
    """

    def __init__(self, store: Any, pipeline_root: Path, say: Callable[[str], None], thorough: bool) -> None:
        self.pipeline_root = pipeline_root
        self._store, self._say, self._thorough = store, say, thorough
        self._read: set[Path] = set()  # artifacts that this run has read in full
        self.cached_read = 0  # number of cached artifacts that were read in full

    @contextlib.contextmanager
    def of_cached_outputs(self) -> Iterator[None]:
        """Inside this context, TFX treats damaged cached outputs like missing ones: the node runs again."""
        verify_existence = artifact_utils.verify_artifacts

        def verify_content(artifacts: Artifacts) -> None:
            for artifact in _all(artifacts):
                problem = self._problem(artifact, self._thorough)
                if problem:
                    self._forget(artifact)
                    self._say(f"{self._producer(artifact)}: its cached output {problem}; it runs again")
                    raise RuntimeError(problem)  # as TFX's own check does
                self.cached_read += self._thorough
            verify_existence(artifacts)  # last, because it reports nothing to the user

        # The launcher has no hook between choosing cached outputs and using them.
        artifact_utils.verify_artifacts = verify_content
        try:
            yield
        finally:
            artifact_utils.verify_artifacts = verify_existence

    def before_use(self, node_id: str, inputs: Artifacts) -> None:
        """Raises PipelineError if an input differs from what its node wrote."""
        for artifact in _all(inputs):
            problem = self._problem(artifact, thorough=True)
            if problem:
                self._forget(artifact)
                raise PipelineError(
                    f"{self._producer(artifact)}: its output {problem}, so {node_id} cannot use it; run the same "
                    "command again to recreate it"
                )

    def after_failure(self, node_id: str, inputs: Artifacts) -> None:
        """Checks the inputs again: the node may have failed because they changed after `before_use`."""
        self._read -= {Path(artifact.uri) for artifact in _all(inputs)}
        self.before_use(node_id, inputs)

    def record(self, uris: Iterable[str]) -> None:
        """Records the digests of the artifacts that a node has just written."""
        for uri in map(Path, uris):
            manifest.record(uri)
            self._read.add(uri)

    def _problem(self, artifact: Any, thorough: bool) -> str:
        uri = Path(artifact.uri)
        problem = manifest.damage(uri, thorough and uri not in self._read)
        if thorough and not problem:
            self._read.add(uri)
        return problem.replace(f"{Path.cwd()}/", "")  # relative paths are shorter to read

    def _forget(self, artifact: Any) -> None:
        artifact.mlmd_artifact.state = mlmd.Artifact.DELETED
        self._store.put_artifacts([artifact.mlmd_artifact])

    def _producer(self, artifact: Any) -> str:
        uri = Path(artifact.uri)
        return (
            uri.relative_to(self.pipeline_root).parts[0]
            if uri.is_relative_to(self.pipeline_root)
            else str(uri)
        )


def _all(artifacts: Artifacts) -> Iterator[Any]:
    for several in artifacts.values():
        yield from several
