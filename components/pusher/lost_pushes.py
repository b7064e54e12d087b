"""Invalidates cached pushes whose version is no longer served.

TFX takes a node from its cache as long as the node's own output folder exists. A push also changes the
serving folder, where the version may since have been removed by hand, pruned or replaced by another run.
Such pushes are marked DELETED in the metadata store before a run; the cache skips artifacts in that state,
so the Pusher runs again.
"""

from __future__ import annotations

from pathlib import Path

from ml_metadata import MetadataStore, errors
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.versions import store
from components.versions.record import version_damage

_LIVE, _DELETED = mlmd.Artifact.LIVE, mlmd.Artifact.DELETED


def forget_lost_pushes(store: MetadataStore, thorough: bool = False) -> list[str]:
    """Marks every lost PushedModel as DELETED; returns the folders that they pointed to, sorted.

    A push is lost if its version is missing or damaged (see `version_damage`), or if a later push replaced it:
    running an older config again should serve its model again. A rollback or a promotion is not a later push,
    so running the same config again does not undo it.
    """
    try:
        artifacts = store.get_artifacts_by_type("PushedModel")
    except errors.NotFoundError:  # nothing has ever been pushed with this store
        return []
    lost = [a for a in artifacts if a.state == _LIVE and _is_lost(a, thorough)]
    for artifact in lost:
        artifact.state = _DELETED
    if lost:
        store.put_artifacts(lost)
    return sorted({_destination(a) for a in lost})


def _destination(artifact: mlmd.Artifact) -> str:
    value = artifact.custom_properties["pushed_destination"].string_value
    return str(value)


def _is_lost(artifact: mlmd.Artifact, thorough: bool) -> bool:
    if artifact.custom_properties["pushed"].int_value != 1:
        return False
    destination = Path(_destination(artifact))
    if version_damage(destination, thorough):
        return True
    home = destination.parent
    served = store.versions(home.parent, home.name)
    pushes = [v for v in served if v.is_push]
    return destination not in [v.path for v in (*served[-1:], *pushes[-1:])]
