"""Executor of ServedBaseline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.baseline.served import served_baseline
from components.baseline.spec import CANDIDATE_KEY, MODEL_KEY, NAME_KEY, SERVING_DIR_KEY, VERSION_KEY
from components.model_files import EXTRAS
from models.errors import PipelineError

# Custom properties of the output.
ABSENT = "absent"
SERVED_VERSION = "served_version"
RECORD_FILE = "baseline.json"


def find_version(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> int:
    """Returns the number of the served version to compare with, 0 if there is none."""
    candidate = artifact_utils.get_single_instance(input_dict[CANDIDATE_KEY])
    folder = path_utils.serving_model_path(candidate.uri, path_utils.is_old_model_artifact(candidate))
    return served_baseline(exec_properties[SERVING_DIR_KEY], exec_properties[NAME_KEY], Path(folder))


class Executor(base_executor.BaseExecutor):
    """Copies the version into the artifact, so that later pushes and pruning do not change it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills `model`, or marks it absent.

        Raises:
            PipelineError: the version was removed in the meantime.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        model = artifact_utils.get_single_instance(output_dict[MODEL_KEY])
        number = exec_properties.get(VERSION_KEY)
        if number is None:
            number = find_version(input_dict, exec_properties)
        if number:
            source = Path(exec_properties[SERVING_DIR_KEY], exec_properties[NAME_KEY], str(number))
            _copy(source, Path(path_utils.serving_model_dir(model.uri)))
        model.set_int_custom_property(SERVED_VERSION, number)
        model.set_int_custom_property(ABSENT, int(not number))
        # A file, because orchestrators that copy artifacts do not carry empty folders.
        Path(model.uri).mkdir(parents=True, exist_ok=True)
        Path(model.uri, RECORD_FILE).write_text(json.dumps({SERVED_VERSION: number}) + "\n")


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(EXTRAS))
    except (OSError, shutil.Error) as error:
        raise PipelineError(
            f"{source}: the baseline cannot be copied ({error}); it may have been pruned in the meantime; run again"
        ) from error
