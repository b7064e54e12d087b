"""The `custom_config` of `preprocessing_fn` and `run_fn`: JSON values, which the metadata store records."""

from __future__ import annotations

from typing import Any

from components.fingerprints import code_fingerprint
from components.model_parts import ModelParts
from pipeline.config import Config
from pipeline.own_parts import text_modules, training_modules
from pipeline.paths import PipelinePaths


def transform_config(config: Config, parts: ModelParts) -> dict[str, Any]:
    """The `custom_config` of `components.transform.preprocessing.preprocessing_fn`."""
    return _of_both(config, parts) | {
        "code_fingerprint": code_fingerprint(*preprocessing_code(config, parts))
    }


def trainer_config(config: Config, paths: PipelinePaths, parts: ModelParts) -> dict[str, Any]:
    """The `custom_config` of `components.trainer.run_fn.run_fn`."""
    return _of_both(config, parts) | {
        "name": config.name,
        "model": config.model.as_json(),
        "train": config.train.as_json(),
        "state_dir": str(paths.state_dir),
        "code_fingerprint": code_fingerprint(*training_code(config, parts)),
    }


def preprocessing_code(config: Config, parts: ModelParts) -> tuple[str, ...]:
    """The modules that Transform uses: its own, those of the tokenizer and the task, and own parts, loaded by name."""
    return (
        "components.transform.preprocessing",
        *parts.tokenizer.modules,
        *parts.task.modules("facts", "labels"),
        *text_modules(config),
    )


def training_code(config: Config, parts: ModelParts) -> tuple[str, ...]:
    """The modules that the Trainer uses: its own, those of the encoder and the task, and own parts, loaded by name."""
    return (
        "components.trainer.run_fn",
        parts.encoder.facts_module,
        parts.encoder.forward_module,
        *parts.task.modules("facts", "labels", "head"),
        *training_modules(config),
    )


def _of_both(config: Config, parts: ModelParts) -> dict[str, Any]:
    return {
        "data": config.data.of_rows().as_json(),
        "transform": config.transform.as_json(),
        "checkpoint_dir": str(parts.checkpoint_dir),
        "labels_path": str(parts.label_list),
        "task": parts.task.name,
        "inputs_fingerprint": parts.checkpoint_fingerprint + parts.labels_fingerprint,
    }
