"""What the pipeline knows, when it is built, about the model that it will push: for push.json."""

from __future__ import annotations

from typing import Any

from components.fingerprints import code_fingerprint
from models.checkpoints.settings import CheckpointSettings
from models.encoders import families as encoders
from models.tasks.task import Task
from models.tokenizers import family as tokenizers
from pipeline.config import Config, task_of

# Where a model is made and where it goes is not what it is.
_LEFT_OUT = {"kubeflow", "beam", "serve", "push", "report"}


def training_code(encoder: encoders.Family, task: Task) -> tuple[str, ...]:
    """The modules that the Trainer runs: `run_fn`, and those of the encoder's family and the task, loaded by name."""
    return (
        "components.trainer.run_fn",
        encoder.facts_module,
        encoder.forward_module,
        *task.modules("facts", "labels", "head"),
    )


def model_facts(
    config: Config, checkpoint_fingerprint: str, tokenizer: tokenizers.Family, encoder: encoders.Family
) -> dict[str, Any]:
    """Returns JSON values: the resolved config, the checkpoint, and a hash of the code that makes a model.

    A config holds no secrets, only the names of files and variables that do.

    Args:
        config: the model.
        checkpoint_fingerprint: of the checkpoint's files.
        tokenizer: the family of the checkpoint's tokenizer.
        encoder: the family that the checkpoint is of.
    """
    return {
        "config": config.model_dump(mode="json", by_alias=True, exclude=_LEFT_OUT),
        "checkpoint": {
            "name": _checkpoint_name(config.model.checkpoint),
            "fingerprint": checkpoint_fingerprint,
        },
        "code": code_fingerprint(
            "components.transform.preprocessing", *tokenizer.modules, *training_code(encoder, task_of(config))
        ),
    }


def _checkpoint_name(checkpoint: CheckpointSettings) -> str:
    if checkpoint.hub is not None:
        return f"{checkpoint.hub}@{checkpoint.revision}"
    return checkpoint.recipe or str(checkpoint.path)
