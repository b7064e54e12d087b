"""Makes a cached export count only while what it shipped is there, and tries a refused one again.

As for a push (`components.pusher.lost_pushes`): the effect is elsewhere than the node's own output. A refusal
may be the machine's, a converter that ran out of memory, say, so it must not stay in the cache.
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
    """Marks every ExportedModel that no longer counts DELETED, which the cache passes over; returns how many.

    Args:
        store: the metadata store.
        thorough: compare the bytes of what was shipped, not only sizes.
    """
    try:
        found = store.get_artifacts_by_type(ExportedModel.TYPE_NAME)
    except errors.NotFoundError:  # nothing was ever exported with this store
        return 0
    lost = [
        artifact
        for artifact in found
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
    """Whether all files are there in their sizes, with this very report: another run may have shipped since."""
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
