"""Checks, on the machine that compiles, the files that go into the image."""

from __future__ import annotations

import sys
from pathlib import Path

from components.checkpoint import check_checkpoint, checkpoint_folder
from components.errors import UsageError
from pipeline.config import Config

PROJECT_DIR = Path(__file__).resolve().parents[2]


def local_inputs(config: Config) -> Path:
    """Returns the checkpoint's folder, fetched if need be.

    Raises:
        UsageError: no schema or label list, or a checkpoint that is not there or has less than the config asks for.
        PipelineError: the checkpoint cannot be fetched or used.
    """
    for key, path in (("data.schema", config.data.data_schema), ("data.labels", config.data.labels)):
        if not path.is_file():
            raise UsageError(f"{key}: no file at {path}")
    recipes, kept = PROJECT_DIR / "data" / "checkpoints", PROJECT_DIR / "checkpoints"
    checkpoint = checkpoint_folder(config.model.checkpoint, recipes, kept)
    for note in check_checkpoint(
        checkpoint,
        config.model.checkpoint.allow_pickle,
        config.transform.max_length,
        text_pair=config.data.text_pair is not None,
        frozen_layers=config.train.freeze.layers,
    ):
        print(note, file=sys.stderr)
    return checkpoint
