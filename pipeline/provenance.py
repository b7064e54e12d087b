"""The facts about a model that are known when the pipeline is built, for push.json."""

from __future__ import annotations

from components.fingerprints import code_fingerprint
from components.model_parts import ModelParts
from components.versions.record import PushRecord
from models.checkpoints.settings import CheckpointSettings
from pipeline.config import Config
from pipeline.custom_config import preprocessing_code, training_code

# Sections that say where a model is trained, checked or pushed do not describe the model.
_LEFT_OUT = {"kubeflow", "beam", "serve", "push", "report", "parity"}


def model_facts(config: Config, parts: ModelParts) -> PushRecord:
    """Returns the resolved config, the checkpoint, and a hash of the code that produces the model.

    A config contains no secrets, only the names of files and variables that contain them.
    """
    return PushRecord(
        config=config.model_dump(mode="json", by_alias=True, exclude=_LEFT_OUT),
        checkpoint={
            "name": _checkpoint_name(config.model.checkpoint),
            "fingerprint": parts.checkpoint_fingerprint,
        },
        code=code_fingerprint(*preprocessing_code(config, parts), *training_code(config, parts)),
    )


def _checkpoint_name(checkpoint: CheckpointSettings) -> str:
    if checkpoint.hub is not None:
        return f"{checkpoint.hub}@{checkpoint.revision}"
    return checkpoint.recipe or str(checkpoint.path)
