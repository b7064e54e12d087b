"""Allows one run of a pipeline at a time. The kernel releases the lock of a killed process."""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from models.errors import PipelineError
from pipeline.local.sudden_end import process_id

_KILLED_SECONDS = 30.0  # how long to wait for the lock of a killed run


@contextlib.contextmanager
def hold(path: Path, run_id: str, wait: bool, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock file while the block runs.

    Args:
        path: the lock file; created if missing, never removed.
        run_id: written into the file, so that the next run can say which run holds the lock.
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
    if _take(file):
        return
    holder = _holder(file)
    deadline = time.monotonic() + _KILLED_SECONDS
    while holder.was_killed() and time.monotonic() < deadline:
        if _take(file):
            return
        time.sleep(0.05)
    if not wait:
        raise PipelineError(f"{path.parent}: {holder} is running this pipeline; wait for it, or add --wait")
    on_wait(str(holder))
    fcntl.flock(file, fcntl.LOCK_EX)


def _take(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Holder(NamedTuple):
    pid: int
    run_id: str

    def __str__(self) -> str:
        return f"process {self.pid} (run {self.run_id})" if self.pid else "another process"

    def was_killed(self) -> bool:
        """Whether its process is gone. The kernel releases the lock only after it has freed the process's memory."""
        return self.pid > 0 and not Path("/proc", str(self.pid)).exists()


def _holder(file: TextIO) -> _Holder:
    file.seek(0)
    try:
        holder = json.load(file)
        return _Holder(int(holder["pid"]), str(holder["run_id"]))
    except (ValueError, KeyError, TypeError):  # the holder has not written its name yet
        return _Holder(0, "")
