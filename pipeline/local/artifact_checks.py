"""Holds every artifact that a run uses to the digests that were recorded when it was written.

- A node's outputs are recorded before they are published.
- TFX takes outputs from its cache as long as they exist; here they must also be whole. A look at each file's
  size, times and inode is enough for that; `--verify` reads them all.
- What a node is about to read is read once before, unless this run has done so.

A damaged artifact is marked DELETED in the metadata store. The cache and the resolvers pass over it, so the node
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
        say: told of each artifact that a node has to make again.
        thorough: read cached artifacts whole instead of looking at their files' stamps.
    """

    def __init__(self, store: Any, pipeline_root: Path, say: Callable[[str], None], thorough: bool) -> None:
        self.pipeline_root = pipeline_root
        self._store, self._say, self._thorough = store, say, thorough
        self._read: set[Path] = set()  # artifacts whose bytes this run has seen
        self.cached_read = 0  # artifacts taken from the cache that were read whole

    @contextlib.contextmanager
    def of_cached_outputs(self) -> Iterator[None]:
        """Inside, TFX passes over cached outputs that are damaged, as it does over those that are gone."""
        exist = artifact_utils.verify_artifacts

        def exist_and_are_whole(artifacts: Artifacts) -> None:
            for artifact in _all(artifacts):
                problem = self._problem(artifact, self._thorough)
                if problem:
                    self._forget(artifact)
                    self._say(f"{self._producer(artifact)}: its cached output {problem}; it runs again")
                    raise RuntimeError(problem)  # as TFX's own check does
                self.cached_read += self._thorough
            exist(artifacts)  # after: it says nothing to the user

        # The launcher has no hook between the choice of cached outputs and their use.
        artifact_utils.verify_artifacts = exist_and_are_whole
        try:
            yield
        finally:
            artifact_utils.verify_artifacts = exist

    def before_use(self, node_id: str, inputs: Artifacts) -> None:
        """Raises PipelineError when an input is not what its node has written."""
        for artifact in _all(inputs):
            problem = self._problem(artifact, thorough=True)
            if problem:
                self._forget(artifact)
                raise PipelineError(
                    f"{self._producer(artifact)}: its output {problem}, so {node_id} cannot use it; run the same "
                    "command again to make it anew"
                )

    def after_failure(self, node_id: str, inputs: Artifacts) -> None:
        """As `before_use`: what failed may have read bytes that changed since."""
        self._read -= {Path(artifact.uri) for artifact in _all(inputs)}
        self.before_use(node_id, inputs)

    def record(self, uris: Iterable[str]) -> None:
        """Keeps the digests of what a node has just written."""
        for uri in map(Path, uris):
            manifest.record(uri)
            self._read.add(uri)

    def _problem(self, artifact: Any, thorough: bool) -> str:
        uri = Path(artifact.uri)
        problem = manifest.damage(uri, thorough and uri not in self._read)
        if thorough and not problem:
            self._read.add(uri)
        return problem.replace(f"{Path.cwd()}/", "")  # shorter to read where it is below the current folder

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
