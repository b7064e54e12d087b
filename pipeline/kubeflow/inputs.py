"""Checks, on the machine that compiles, the files that go into the image."""

from __future__ import annotations

from pathlib import Path

from components.checkpoint import check_checkpoint, checkpoint_folder
from components.errors import UsageError
from components.transform.wordpiece_spec import load_wordpiece_spec
from pipeline.config import Config

PROJECT_DIR = Path(__file__).resolve().parents[2]


def local_inputs(config: Config) -> Path:
    """Returns the checkpoint's folder, fetched if need be.

    Raises:
        UsageError: no schema or label list.
        PipelineError: the checkpoint cannot be fetched or used.
    """
    for key, path in (("data.schema", config.data.data_schema), ("data.labels", config.data.labels)):
        if not path.is_file():
            raise UsageError(f"{key}: no file at {path}")
    recipes, kept = PROJECT_DIR / "data" / "checkpoints", PROJECT_DIR / "checkpoints"
    checkpoint = checkpoint_folder(config.model.checkpoint, recipes, kept)
    check_checkpoint(checkpoint, config.model.checkpoint.allow_pickle, config.transform.max_length)
    load_wordpiece_spec(checkpoint)  # refuses a tokenizer that the graph cannot reproduce
    return checkpoint
