"""Checks, on the machine that compiles, the files that go into the image."""

from __future__ import annotations

from pathlib import Path

from components.checkpoint import checkpoint_folder
from pipeline.config import Config
from pipeline.inputs import check_encoder, check_settings
from pipeline.paths import CHECKPOINTS_DIR, RECIPES_DIR


def local_inputs(config: Config) -> Path:
    """Returns the checkpoint's folder, fetched if need be.

    Raises:
        PipelineError: schema, label list or checkpoint do not fit the config, or the checkpoint cannot be fetched.
    """
    check_settings(config)
    checkpoint = checkpoint_folder(config.model.checkpoint, RECIPES_DIR / "checkpoints", CHECKPOINTS_DIR)
    check_encoder(config, checkpoint)
    return checkpoint
