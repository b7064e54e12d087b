"""Invalidates cached exports whose shipped files are gone, and rejected ones, so that they are tried again.

As with pushes (`components.pusher.lost_pushes`), the files are outside the node's own output. The machine may be
the cause of a rejection, for example if the converter ran out of memory, so it must not stay in the cache.
"""

from __future__ import annotations

import filecmp
from pathlib import Path

from ml_metadata import MetadataStore, errors
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.exports.artifacts import DESTINATION, ExportedModel
from components.exports.report import REPORT_FILE
from components.refusal import REFUSED


def forget_lost_exports(store: MetadataStore, thorough: bool = False) -> int:
    """Marks every ExportedModel that is no longer valid as DELETED, so that the cache skips it; returns how many.

    Args:
        store: the metadata store.
        thorough: compare the contents of the shipped files, not only their sizes.
    """
    try:
        artifacts = store.get_artifacts_by_type(ExportedModel.TYPE_NAME)
    except errors.NotFoundError:  # nothing has ever been exported with this store
        return 0
    lost = [
        artifact
        for artifact in artifacts
        if artifact.state == mlmd.Artifact.LIVE and _is_lost(artifact, thorough)
    ]
    for artifact in lost:
        artifact.state = mlmd.Artifact.DELETED
    if lost:
        store.put_artifacts(lost)
    return len(lost)


def _is_lost(artifact: mlmd.Artifact, thorough: bool) -> bool:
    shipped = artifact.custom_properties[DESTINATION].string_value
    refused = artifact.custom_properties[REFUSED].string_value
    return bool(refused) or bool(shipped and not _is_there(Path(artifact.uri), Path(shipped), thorough))


def _is_there(made: Path, shipped: Path, thorough: bool) -> bool:
    """Whether all files exist with the right sizes and this report; another run may have shipped since."""
    try:
        return (made / REPORT_FILE).read_bytes() == (shipped / REPORT_FILE).read_bytes() and all(
            _is_same(path, shipped / path.relative_to(made), thorough)
            for path in made.rglob("*")
            if path.is_file()
        )
    except OSError:
        return False


def _is_same(one: Path, other: Path, thorough: bool) -> bool:
    if thorough:
        return filecmp.cmp(one, other, shallow=False)
    return one.stat().st_size == other.stat().st_size
