"""What an interrupted training leaves behind, so that the next run goes on from there.

One safetensors file, written aside and renamed: it is the old state or the new one, never half of it.
A state is used only when its fingerprint (data, checkpoint, settings, code) is that of the new run.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

STATE_FILE = "training_state.safetensors"

_log = logging.getLogger(__name__)


def fingerprint(parts: Mapping[str, Any]) -> str:
    """sha256 of `parts` as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save_state(
    folder: Path, mark: str, progress: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Replaces the state in `folder`. `progress` must be JSON; `mark` is the run's fingerprint."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{STATE_FILE}.{os.getpid()}"
    try:
        save_file(dict(arrays), aside, metadata={"fingerprint": mark, "progress": json.dumps(progress)})
        os.replace(aside, folder / STATE_FILE)
    finally:
        aside.unlink(missing_ok=True)


def load_state(folder: Path, mark: str) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """The progress and arrays of an interrupted run with the same fingerprint; else None."""
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="numpy") as archive:
            metadata = archive.metadata() or {}
            if metadata.get("fingerprint") != mark:
                _log.info("%s is of another run (data, settings or code differ): starting anew", path)
                return None
            arrays = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118 (not a mapping)
            return json.loads(metadata["progress"]), arrays
    except SafetensorError as error:
        _log.warning("%s cannot be read (%s): starting anew", path, error)
        return None


def clear_state(folder: Path) -> None:
    """Forgets the state: the training is finished and its model exported."""
    (folder / STATE_FILE).unlink(missing_ok=True)
