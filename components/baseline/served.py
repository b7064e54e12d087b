"""The baseline among the served versions, if the metadata store cannot be queried or has no usable model.

Plain Python, except for the SavedModel messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from components.model_files import EXTRAS, SAVED_MODEL, same_model
from components.versions import store
from components.versions.record import PushRecord
from components.versions.store import ServedVersion
from models import features
from models.errors import PipelineError


def served_baseline(serving_dir: str, name: str, candidate: Path) -> int:
    """Returns the number of the newest served version that is not the candidate, 0 if there is none.

    If versions 1, 2 and 3 are served and 3 equals the candidate byte for byte, it is 2.

    Args:
        serving_dir: folder that the model server watches.
        name: name of the served model.
        candidate: SavedModel folder of the candidate.

    Raises:
        PipelineError: that version is damaged, so that a bad model may look good beside it, or it is of another task.
    """
    version = newest_other(serving_dir, name, candidate)
    if version is None:
        return 0
    broken = version.damage(thorough=True)
    if broken:
        raise PipelineError(
            f"{version.path}: damaged ({broken}), so no model can be compared with it; roll back to an intact version "
            "and run again"
        )
    if other := of_another_task(version.path, candidate):
        raise PipelineError(
            f"{version.path}: {other}, so the two cannot be compared; give the model another name, or remove the versions "
            "of the other task"
        )
    return version.number


def newest_other(serving_dir: str, name: str, candidate: Path) -> ServedVersion | None:
    """Returns the newest served version that is not the candidate; ignores folders without a model."""
    for version in reversed(store.versions(serving_dir, name)):
        is_model = version.record != PushRecord() or (version.path / SAVED_MODEL).is_file()
        if is_model and not same_model(version.path, candidate):
            return version
    return None


def why_incomparable(version: ServedVersion, candidate: Path) -> str:
    """Returns why a served version cannot be compared with the candidate; "" if it can."""
    broken = version.damage(thorough=True)
    if broken:
        return f"it is damaged ({broken})"
    if other := of_another_task(version.path, candidate):
        return other
    theirs, ours = (_labels(folder) for folder in (version.path, candidate))
    if theirs != ours:
        return f"its label list differs ({len(theirs)} labels, the candidate has {len(ours)})"
    served, judged = _signature(version.path), _signature(candidate)
    if served.inputs != judged.inputs:
        return f"it takes {', '.join(served.inputs) or 'no texts'}, the candidate {', '.join(judged.inputs)}"
    return ""


def of_another_task(model_dir: Path, candidate: Path) -> str:
    """Why a model's answers mean something else than the candidate's; "" if they have the same outputs."""
    served, judged = _signature(model_dir).outputs, _signature(candidate).outputs
    if served == judged or not served or not judged:  # without outputs, it cannot be loaded anyway
        return ""
    return f"it is of another task: it gives {', '.join(served)}, the candidate {', '.join(judged)}"


def _labels(model_dir: Path) -> list[str]:
    try:
        return (model_dir / EXTRAS / features.LABELS_FILE).read_text(encoding="utf-8").splitlines()
    except OSError:  # not a model of this project
        return []


class _Signature(NamedTuple):
    """Names of the serving signature, sorted."""

    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()


def _signature(model_dir: Path) -> _Signature:
    """The serving signature; without names for a folder that has none."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        saved = saved_model_pb2.SavedModel.FromString((model_dir / SAVED_MODEL).read_bytes())
    except (OSError, DecodeError):
        return _Signature()
    graphs = [g for g in saved.meta_graphs if features.SERVING_SIGNATURE in g.signature_def]
    served = [graph.signature_def[features.SERVING_SIGNATURE] for graph in graphs]
    inputs, outputs = ({name for s in served for name in getattr(s, side)} for side in ("inputs", "outputs"))
    return _Signature(sorted(inputs), sorted(outputs))
