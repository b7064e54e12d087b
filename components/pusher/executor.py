"""Executor of VersionedPusher."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.baseline.served import why_incomparable
from components.model_files import (
    SAVED_MODEL,
    file_digests,
    model_digest,
    read_sums,
    require_exported,
    same_model,
)
from components.pusher.provenance import provenance, stored_properties
from components.pusher.spec import (
    FORCE_KEY,
    INFO_KEY,
    INFRA_BLESSING_KEY,
    KEEP_KEY,
    MODEL_BLESSING_KEY,
    MODEL_KEY,
    NAME_KEY,
    NEEDS_BASELINE_KEY,
    PUSHED_MODEL_KEY,
    RUN_STARTED_KEY,
    SERVING_DIR_KEY,
)
from components.refusal import REFUSED
from components.versions import store
from components.versions.record import read_record, record_of
from models.errors import GateRefused, PipelineError

# Custom properties of the PushedModel, named as TFX's own Pusher names them.
PUSHED = "pushed"
PUSHED_DESTINATION = "pushed_destination"
PUSHED_VERSION = "pushed_version"
RECORD_FILE = "pushed.json"
_BASELINE_URI = "baseline_model"  # the Evaluator sets it on its blessing (tfx evaluator/constants.py)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """pushed.json: whether the model was pushed, 1 or 0; then the version's folder and number, or why it was not."""

    pushed: int
    refused: Sequence[str] = ()
    pushed_destination: str = ""
    pushed_version: str = ""

    def as_json(self) -> dict[str, Any]:
        """The content of the file, without what is empty."""
        return {key: value for key, value in asdict(self).items() if value or key == PUSHED}


def check_saved_model(model_dir: Path) -> None:
    """Raises PipelineError if saved_model.pb is not a SavedModel with a graph."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = model_dir / SAVED_MODEL
    try:
        saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except DecodeError as error:
        raise PipelineError(f"{path.name} is not a SavedModel ({error}); nothing was pushed") from error
    if not saved_model.meta_graphs:
        raise PipelineError(f"{path.name} has no graph; nothing was pushed")


def refusals(input_dict: dict[str, list[types.Artifact]]) -> list[str]:
    """Returns a line for each blessing that rejects the model."""
    checks = (
        (MODEL_BLESSING_KEY, model_utils.is_model_blessed),
        (INFRA_BLESSING_KEY, model_utils.is_infra_validated),
    )
    return [
        f"{key} of {blessing.uri} rejects the model{_reasons(blessing)}"
        for key, says_yes in checks
        for blessing in input_dict.get(key) or []
        if not says_yes(blessing)
    ]


def _reasons(blessing: types.Artifact) -> str:
    """The reasons in the Canary's blessing; the Evaluator's are in its own output."""
    reasons = blessing.get_string_custom_property(REFUSED)
    return f" ({reasons})" if reasons else ""


def model_path(input_dict: dict[str, list[types.Artifact]]) -> str:
    """Returns the folder to push: the InfraValidator's copy with warm-up requests, if there is one."""
    for blessing in input_dict.get(INFRA_BLESSING_KEY) or []:
        if blessing.get_int_custom_property("has_model"):
            return path_utils.stamped_model_path(blessing.uri)
    return serving_path(input_dict)


def serving_path(input_dict: dict[str, list[types.Artifact]]) -> str:
    """Returns the folder that the Trainer exported."""
    model = artifact_utils.get_single_instance(input_dict[MODEL_KEY])
    return path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))


def judged_digests(source: Path, input_dict: dict[str, list[types.Artifact]]) -> dict[str, str]:
    """Returns the `file_digests` of the folder to push, which is byte for byte what the gates judged.

    Raises:
        PipelineError: a file is not the one that the Trainer exported, or the one that the canary tried.
    """
    digests = require_exported(source)
    exported = read_sums(Path(serving_path(input_dict)))
    if model_digest(digests) != model_digest(exported):
        raise PipelineError(
            f"{source}: not the model that the Evaluator judged ({serving_path(input_dict)}); nothing was pushed, "
            "run again"
        )
    return digests


def was_compared(input_dict: dict[str, list[types.Artifact]]) -> bool:
    """Whether the Evaluator compared the model with a baseline."""
    return any(b.get_string_custom_property(_BASELINE_URI) for b in input_dict.get(MODEL_BLESSING_KEY) or [])


def refuse_uncompared(model: Path, serving_dir: str, name: str) -> None:
    """Raises GateRefused if another model is served, which may be better but was not compared."""
    served = store.versions(serving_dir, name)
    if served and not (same_model(served[-1].path, model) or _was_pushed_as(served[-1], model)):
        reason = why_incomparable(served[-1], model) or "it was pushed during this run; run again"
        raise GateRefused(
            f"version {served[-1].number} of {Path(serving_dir) / name} is served, and the model was not compared with "
            f"it: {reason}; roll back to a version that it can be compared with, or push to another push.serving_dir "
            "(push.replace_uncompared: true replaces it without a comparison)"
        )


def _was_pushed_as(version: store.ServedVersion, model: Path) -> bool:
    """Whether the version's record names this model, so that they differ only by damage."""
    return version.record.model_sha256 == model_digest(file_digests(model))


class Executor(base_executor.BaseExecutor):
    """Pushes the model, or records why it was not pushed."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Sets `pushed`, `pushed_destination`, `pushed_version` and the version's facts on the PushedModel.

        Raises:
            GateRefused: the served model was not compared with this one, or is a newer run's.
            PipelineError: the model is not what the gates judged, or could not be pushed; the served versions
                are unchanged.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(output_dict[PUSHED_MODEL_KEY])
        refused = refusals(input_dict)
        if refused:
            _log.warning("Not pushed: %s", "; ".join(refused))
            pushed.set_string_custom_property(REFUSED, "; ".join(refused))
            _record(pushed, Outcome(pushed=0, refused=refused))
            return
        source = model_path(input_dict)
        digests = judged_digests(Path(source), input_dict)
        serving_dir, name = exec_properties[SERVING_DIR_KEY], exec_properties[NAME_KEY]
        if exec_properties.get(NEEDS_BASELINE_KEY) and not was_compared(input_dict):
            refuse_uncompared(Path(source), serving_dir, name)
        record = provenance(
            input_dict,
            record_of(json.loads(exec_properties[INFO_KEY])),
            self._context._pipeline_run_id if self._context else None,  # Context has no accessor for it
            exec_properties.get(RUN_STARTED_KEY),
        )
        number = store.publish(
            source,
            serving_dir,
            name,
            exec_properties[KEEP_KEY],
            record,
            check=check_saved_model,
            force=bool(exec_properties.get(FORCE_KEY)),
            digests=digests,
        )
        destination = Path(serving_dir) / name / str(number)
        _log.info("Pushed %s to %s", source, destination)
        for key, value in stored_properties(read_record(destination)).items():
            pushed.set_string_custom_property(key, value)
        _record(pushed, Outcome(pushed=1, pushed_destination=str(destination), pushed_version=str(number)))


def _record(pushed: types.Artifact, outcome: Outcome) -> None:
    pushed.set_int_custom_property(PUSHED, outcome.pushed)
    if outcome.pushed:
        pushed.set_string_custom_property(PUSHED_DESTINATION, outcome.pushed_destination)
        pushed.set_string_custom_property(PUSHED_VERSION, outcome.pushed_version)
    # A file, because orchestrators that copy artifacts do not carry empty folders.
    folder = Path(pushed.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD_FILE).write_text(json.dumps(outcome.as_json(), indent=2) + "\n", encoding="utf-8")
