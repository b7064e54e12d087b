"""Checks, on the machine that compiles, the files that go into the image."""

from __future__ import annotations

import sys
from pathlib import Path

from models.checkpoints.source import checkpoint_folder
from pipeline.config import Config
from pipeline.inputs import check_encoder, check_settings
from pipeline.paths import CHECKPOINTS_DIR, RECIPES_DIR


def local_inputs(config: Config) -> Path:
    """Returns the checkpoint's folder, fetched if need be.

    Raises:
        UsageError: the config names what is not there, or asks for more than schema, labels or checkpoint have.
        PipelineError: the checkpoint cannot be fetched or used.
    """
    check_settings(config)
    checkpoint = checkpoint_folder(config.model.checkpoint, RECIPES_DIR / "checkpoints", CHECKPOINTS_DIR)
    for note in check_encoder(config, checkpoint):
        print(note, file=sys.stderr)
    return checkpoint
