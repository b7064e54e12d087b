"""One run of a pipeline at a time. The kernel drops the lock of a killed process."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from models.errors import PipelineError
from pipeline.local.sudden_end import process_id


@contextlib.contextmanager
def hold(path: Path, run_id: str, wait: bool, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock file while the block runs.

    Args:
        path: the lock file; made when missing, never removed.
        run_id: written into it, so that the next one can say who holds it.
        wait: wait for the holder instead of refusing.
        on_wait: called once with the holder's description before waiting.

    Raises:
        PipelineError: another process holds it and `wait` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        _acquire(file, path, wait, on_wait)
        file.seek(0)
        file.truncate()
        json.dump({"pid": process_id(), "run_id": run_id}, file)
        file.flush()
        yield


def _acquire(file: TextIO, path: Path, wait: bool, on_wait: Callable[[str], None]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(file)
        if not wait:
            raise PipelineError(
                f"{path.parent}: {holder} is running this pipeline; wait for it, or add --wait"
            ) from None
        on_wait(holder)
        fcntl.flock(file, fcntl.LOCK_EX)


def _holder(file: TextIO) -> str:
    file.seek(0)
    try:
        holder = json.load(file)
        return f"process {holder['pid']} (run {holder['run_id']})"
    except (ValueError, KeyError, TypeError):  # it has the lock and has not written its name yet
        return "another process"
