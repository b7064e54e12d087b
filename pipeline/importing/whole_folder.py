"""Creates a folder atomically: it becomes visible only when it is complete."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from models.errors import PipelineError, UsageError


@contextmanager
def appears_when_complete(out: Path, replaceable: Sequence[str] = ()) -> Iterator[Path]:
    """Yields a hidden folder beside `out`, which is renamed to `out` at the end, or removed if anything fails.

    Args:
        out: the folder to create; it may exist if it is empty.
        replaceable: patterns of names; an `out` that contains nothing else is replaced. Empty: never.

    Raises:
        UsageError: `out` exists and must not be replaced, or no folder can be created beside it.
        PipelineError: the disk is full or fails.
    """
    out = Path(os.path.abspath(out))  # "." has no name from which a sibling's name could be made
    _refuse_existing(out, replaceable)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(out)
        folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.partial-"))
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}") from None
    lock = os.open(folder, os.O_RDONLY)
    try:
        # Shows other imports that this one is running; the kernel releases the lock when the process ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
        folder.chmod(0o755)
        _take_place(folder, out, bool(replaceable))
    except OSError as error:
        raise PipelineError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_existing(out: Path, replaceable: Sequence[str]) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: exists and is not a folder")
    names = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if names and not replaceable:
        raise UsageError(
            f"{out}: exists and is not empty; use another folder, or replace it with --overwrite"
        )
    foreign = [name for name in names if not any(Path(name).match(pattern) for pattern in replaceable)]
    if foreign:
        raise UsageError(
            f"{out}: contains {foreign[0]!r}, which was not written by an import, so it is not replaced; use another "
            "folder"
        )


def _take_place(folder: Path, out: Path, replace: bool) -> None:
    if replace and out.is_dir():
        old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.partial-"))
        os.rename(out, old)
        os.rename(folder, out)
        shutil.rmtree(old)
    else:
        os.rename(folder, out)  # fails if another import has filled the folder in the meantime
    descriptor = os.open(out.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(out: Path) -> None:
    """Removes what killed imports into the same folder have left."""
    for folder in out.parent.glob(f".{out.name}.partial-*"):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # another import is running
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
