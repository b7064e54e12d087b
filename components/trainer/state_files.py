"""Paths and removal of training states. Plain Python, so that a runner can clean up without NumPy."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

STATE_FILE = "training_state.safetensors"

_DAYS_KEPT = 7  # a state that has not been written for longer is abandoned
_SECONDS_OF_A_WRITE = 3600.0  # the writer of a temporary file that is older has died
_NAME_DIGITS = 16  # of the fingerprint


def state_path(folder: Path, mark: str) -> Path:
    """Path of the state of the run with this fingerprint."""
    return folder / mark[:_NAME_DIGITS] / STATE_FILE


def clear_state(folder: Path, mark: str) -> None:
    """Removes the state after its model was exported, and abandoned states of other runs.

    The folder stays while another run with the same fingerprint writes to it.
    """
    state = state_path(folder, mark)
    with contextlib.suppress(OSError):
        state.unlink(missing_ok=True)
        state.parent.rmdir()
    for state in folder.glob(f"*/{STATE_FILE}"):
        if _age(state) > _DAYS_KEPT * 86_400:
            shutil.rmtree(state.parent, ignore_errors=True)


def remove_files_aside(folder: Path) -> None:
    """Removes temporary files of killed writers. The caller must know that nothing is writing there."""
    for aside in _files_aside(folder):
        aside.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Removes temporary files of killed writers; safe while others are writing."""
    for aside in _files_aside(folder):
        if _age(aside) > _SECONDS_OF_A_WRITE:
            aside.unlink(missing_ok=True)


def _files_aside(folder: Path) -> Iterator[Path]:
    return folder.glob(f"*/.{STATE_FILE}.*")


def _age(path: Path) -> float:
    """Seconds since the last write; 0 if the file no longer exists."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
