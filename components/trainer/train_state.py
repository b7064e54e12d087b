"""Saves the state of a training, so that the next run resumes an interrupted or killed one.

Each fingerprint (data, checkpoint, settings, code) has its own folder, so that runs that share a volume do not
touch each other's states. Its single safetensors file is replaced atomically: it is written under a random name
and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from components.trainer.state_files import STATE_FILE, remove_abandoned, state_path
from models.errors import PipelineError


def fingerprint(parts: Mapping[str, Any]) -> str:
    """sha256 of `parts` as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save_state(
    folder: Path, mark: str, progress: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Replaces the state of the run with the fingerprint `mark`. `progress` has JSON values.

    Raises:
        PipelineError: the state cannot be written; the previous one is unchanged.
    """
    path = state_path(folder, mark)
    aside = path.with_name(f".{STATE_FILE}.{uuid.uuid4().hex}")
    metadata = {
        "fingerprint": mark,
        "progress": json.dumps(progress),
        "sha256": _digest(arrays),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
        save_file(dict(arrays), aside, metadata=metadata)
        _flush(aside)
        os.replace(aside, path)
    except (OSError, SafetensorError) as error:
        raise PipelineError(
            f"{path}: the training state cannot be saved ({' '.join(str(error).split())[:200]}); the previous state "
            "is unchanged: fix the problem and run again to resume from it"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # it was renamed or never created
            aside.unlink()


def load_state(folder: Path, mark: str) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """The progress and arrays of an unfinished run with the same fingerprint; None if there is none.

    Raises:
        ValueError: the file exists but is damaged.
    """
    path = state_path(folder, mark)
    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="numpy") as archive:
            metadata = archive.metadata() or {}
            arrays = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118 (not a mapping)
        progress = json.loads(metadata["progress"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({' '.join(str(error).split())[:200]})") from error
    if metadata.get("fingerprint") != mark or metadata.get("sha256") != _digest(arrays):
        raise ValueError(f"{path} is damaged (sha256 differs)")
    return progress, arrays


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
