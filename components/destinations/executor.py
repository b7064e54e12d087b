"""Executor of SecondPusher."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.destinations.artifacts import write_pushes
from components.destinations.folder import push_to_folder
from components.destinations.hub import push_to_hub
from components.destinations.settings import DestinationSettings
from components.destinations.spec import (
    CHECKPOINT_DIR_KEY,
    DESTINATIONS_KEY,
    KEEP_KEY,
    MAX_LENGTH_KEY,
    NAME_KEY,
    PUSHED_MODEL_KEY,
    PUSHES_KEY,
    TASK_KEY,
)
from components.versions.record import version_damage
from models.errors import PipelineError

_log = logging.getLogger(__name__)


class Executor(base_executor.BaseExecutor):
    """Pushes the version to every destination, and reports those that failed."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes pushes.json.

        Raises:
            PipelineError: the version is damaged, or a destination failed; the message has the reason of
                each.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(input_dict[PUSHED_MODEL_KEY])
        report = artifact_utils.get_single_instance(output_dict[PUSHES_KEY])
        done: dict[str, str] = {}
        failed: list[str] = []
        if pushed.get_int_custom_property("pushed") == 1:
            version = Path(pushed.get_string_custom_property("pushed_destination"))
            _require_whole(version)
            for value in json.loads(exec_properties[DESTINATIONS_KEY]):
                destination = DestinationSettings.model_validate(value)
                try:
                    done[str(destination)] = _push(destination, version, exec_properties)
                    _log.info("Pushed %s to %s", version, done[str(destination)])
                except PipelineError as error:
                    failed.append(f"{destination}: {error}")
            if failed:
                raise PipelineError(
                    f"version {version.name} is pushed to {version.parent}, but not to {'; '.join(failed)} "
                    "(the next run tries again)"
                )
        write_pushes(Path(report.uri), done)


def _require_whole(version: Path) -> None:
    broken = version_damage(version, thorough=True)
    if broken:
        raise PipelineError(
            f"{version} is damaged, so it is pushed nowhere else: {broken}; run again to push it again"
        )


def _push(destination: DestinationSettings, version: Path, exec_properties: dict[str, Any]) -> str:
    name = exec_properties[NAME_KEY]
    if destination.folder is not None:
        return push_to_folder(version, destination.folder, name, exec_properties[KEEP_KEY])
    checkpoint = Path(exec_properties[CHECKPOINT_DIR_KEY])
    max_length, task = exec_properties[MAX_LENGTH_KEY], exec_properties[TASK_KEY]
    return push_to_hub(version, destination, name, checkpoint, max_length, task)
