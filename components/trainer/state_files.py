"""Where training states lie and when they go. Plain Python, so that a runner can tidy up without NumPy."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

STATE_FILE = "training_state.safetensors"

_DAYS_KEPT = 7  # of a state that no run has written to since: its run was given up
_SECONDS_OF_A_WRITE = 3600.0  # a file aside that is older has lost its writer
_NAME_DIGITS = 16  # of the fingerprint


def state_path(folder: Path, mark: str) -> Path:
    """Where the state of the run with this fingerprint is."""
    return folder / mark[:_NAME_DIGITS] / STATE_FILE


def clear_state(folder: Path, mark: str) -> None:
    """Forgets the state: the training is finished and its model exported. States that were given up go too.

    The folder stays while another run of the same fingerprint is writing there.
    """
    state = state_path(folder, mark)
    with contextlib.suppress(OSError):
        state.unlink(missing_ok=True)
        state.parent.rmdir()
    for state in folder.glob(f"*/{STATE_FILE}"):
        if _age(state) > _DAYS_KEPT * 86_400:
            shutil.rmtree(state.parent, ignore_errors=True)


def remove_files_aside(folder: Path) -> None:
    """Removes what killed writers left. Only for a caller that knows that nobody writes there now."""
    for aside in _files_aside(folder):
        aside.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Removes what killed writers left, also where others may be writing now."""
    for aside in _files_aside(folder):
        if _age(aside) > _SECONDS_OF_A_WRITE:
            aside.unlink(missing_ok=True)


def _files_aside(folder: Path) -> Iterator[Path]:
    return folder.glob(f"*/.{STATE_FILE}.*")


def _age(path: Path) -> float:
    """Seconds since the last write; 0 for a file that is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
