"""Registers a served version as an artifact of the metadata store, for a Resolver to return."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from pathlib import Path

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components import manifest
from components.baseline.served import why_incomparable
from components.model_files import EXTRAS
from components.versions.store import ServedVersion

SERVED_VERSION = "served_version"  # custom property

_log = logging.getLogger(__name__)


def adopt_served(
    store: MetadataStore, version: ServedVersion, folder: Path, candidate: Path
) -> types.Artifact | None:
    """Returns a served version as an artifact: a copy, which later pushes and pruning do not change.

    The same version is the same artifact in every run. Returns None if it cannot be compared with the candidate.

    Args:
        store: the metadata store, which knows the type Model.
        version: from `newest_other`.
        folder: for the copies.
        candidate: SavedModel folder of the candidate.
    """
    if why_incomparable(version, candidate):
        return None
    uri = folder / f"{version.number}-{(version.record.model_sha256 or 'unknown')[:12]}"
    if not uri.is_dir() or manifest.damage(uri):
        _copy(version, uri)
    _log.info(
        "The baseline is served version %s: the metadata store has no usable blessed model", version.path
    )
    return _artifact(store, uri, version.number)


def _copy(version: ServedVersion, uri: Path) -> None:
    """Replaces the folder of copies: one is enough, and the run holds the pipeline's lock."""
    shutil.rmtree(uri.parent, ignore_errors=True)
    aside = uri.with_name(f".{uuid.uuid4().hex}")
    target = Path(path_utils.serving_model_dir(str(aside)))
    shutil.copytree(version.path, target, ignore=shutil.ignore_patterns(EXTRAS))
    os.rename(aside, uri)
    manifest.record(uri)


def _artifact(store: MetadataStore, uri: Path, number: int) -> types.Artifact:
    model = standard_artifacts.Model()
    kind = store.get_artifact_type(model.type_name)
    known = [artifact for artifact in store.get_artifacts_by_uri(str(uri)) if artifact.type_id == kind.id]
    if known:
        if known[-1].state != mlmd.Artifact.LIVE:  # its copy was damaged and has just been replaced
            known[-1].state = mlmd.Artifact.LIVE
            store.put_artifacts(known[-1:])
        return artifact_utils.deserialize_artifact(kind, known[-1])
    model.uri, model.type_id = str(uri), kind.id
    model.set_int_custom_property(SERVED_VERSION, number)
    model.mlmd_artifact.state = mlmd.Artifact.LIVE
    [model.id] = store.put_artifacts([model.mlmd_artifact])
    return model
