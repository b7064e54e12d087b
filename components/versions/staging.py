"""Adds a version to `<serving_dir>/<name>` atomically. Plain Python.

The version is copied to a staging folder on the same file system, flushed to disk, compared with its source and
then renamed. So a process that is killed at any moment leaves only complete versions; the next writer removes its
staging folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from components.model_files import RECORD_FILE, file_digests, file_facts, model_digest
from components.versions.record import PushRecord, record_text, who
from models.errors import PipelineError

HIGHEST_FILE = ".highest"
LOCK_FILE = ".lock"
STAGING_PREFIX = ".staging-"
REMOVED_PREFIX = ".removed-"

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


@contextlib.contextmanager
def writing(home: Path, doing: str = "pushed") -> Iterator[None]:
    """Holds the lock of a folder for one writer; the kernel releases the lock of a killed process.

    Args:
        home: created if it does not exist.
        doing: the participle for error messages: "nothing was pushed".

    Raises:
        PipelineError: for any OSError inside, with what to do about it.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        with open(home / LOCK_FILE, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _remove_left_overs(home)
            yield
    except OSError as error:
        raise _failed(home, doing, error) from error


def add_version(
    home: Path,
    source: Path,
    digests: dict[str, str],
    record: PushRecord,
    check: Callable[[Path], None] | None = None,
    admit: Callable[[], None] | None = None,
) -> int:
    """Copies `source` and makes the copy visible under the next number, which is returned.

    Args:
        home: `<serving_dir>/<name>`, whose lock the caller holds.
        source: SavedModel folder.
        digests: `file_digests` of the source.
        record: for push.json; version, by, pushed_at, model_sha256 and files are set here.
        check: called with the complete copy; raises PipelineError to reject it.
        admit: called immediately before the copy becomes visible; raises an error to reject it.
    """
    # mkdir, not mkdtemp: the folder becomes the version, and the server may run as another user.
    staging = home / f"{STAGING_PREFIX}{uuid.uuid4().hex}"
    try:
        copy_files(source, staging, digests)
        _compare(staging, digests, source)
        if check is not None:
            check(staging)
        return _make_visible(home, staging, digests, record, admit)
    finally:
        if staging.exists():
            shutil.rmtree(staging)


def remove_version(path: Path) -> None:
    """Removes a version; it disappears atomically, so that no server loads half of it."""
    aside = path.with_name(f"{REMOVED_PREFIX}{path.name}-{uuid.uuid4().hex}")
    os.rename(path, aside)
    shutil.rmtree(aside)


def _failed(home: Path, doing: str, error: OSError) -> PipelineError:
    if error.errno in _NO_SPACE:
        free = shutil.disk_usage(home).free if home.is_dir() else 0
        return PipelineError(
            f"{home}: disk full ({free / 1e6:.1f} MB free): nothing was {doing} and the served versions are "
            "unchanged; free some space, or lower push.keep, and run again"
        )
    where = error.filename or home
    return PipelineError(
        f"{where}: {error.strerror or error}; nothing was {doing}, the served versions are unchanged"
    )


def _remove_left_overs(home: Path) -> None:
    """Removes files of writers that died; the caller holds the lock, so no other writer is alive."""
    for path in home.iterdir():
        if path.name.startswith((STAGING_PREFIX, REMOVED_PREFIX)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def copy_files(source: Path, staging: Path, names: Iterable[str]) -> None:
    """Copies the named files (relative, `/`) into a new folder and flushes them to disk."""
    staging.mkdir()
    for relative in names:
        target = staging / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / relative, target)
        _flush(target)


def _compare(staging: Path, digests: Mapping[str, str], source: Path) -> None:
    copied = file_digests(staging)
    wrong = sorted(path for path in digests if copied.get(path) != digests[path])
    if wrong:
        raise PipelineError(
            f"{staging.parent}: the copy of {wrong[0]!r} differs from {source / wrong[0]} "
            f"({len(wrong)} of {len(digests)} files); nothing was pushed, check the disk and run again"
        )


def _make_visible(
    home: Path,
    staging: Path,
    digests: Mapping[str, str],
    record: PushRecord,
    admit: Callable[[], None] | None,
) -> int:
    while True:
        number = _next_number(home)
        _write_record(staging, number, digests, record)
        _flush_folders(staging)
        # Recorded before the rename, so that a crash between the two skips a number but never repeats one.
        _write_whole(home / HIGHEST_FILE, f"{number}\n")
        if admit is not None:
            admit()
        try:
            os.rename(staging, home / str(number))
        except OSError as error:
            if error.errno in _TAKEN:
                continue  # a writer that does not use the lock has taken the number
            raise
        _flush(home)
        return number


def _next_number(home: Path) -> int:
    taken = [int(p.name) for p in home.iterdir() if p.name.isascii() and p.name.isdigit()]
    try:
        highest = int((home / HIGHEST_FILE).read_text())
    except FileNotFoundError:
        highest = 0
    except ValueError as error:
        raise PipelineError(
            f"{home / HIGHEST_FILE}: not a number; write the highest version used there"
        ) from error
    return max([highest, *taken]) + 1


def _write_record(staging: Path, number: int, digests: Mapping[str, str], record: PushRecord) -> None:
    (staging / RECORD_FILE).parent.mkdir(exist_ok=True)
    complete = replace(
        record.with_nulls("restored_from", "promoted_from"),
        version=number,
        by=who(),
        pushed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        model_sha256=model_digest(digests),
        files=file_facts(staging, digests),
    )
    _write_whole(staging / RECORD_FILE, record_text(complete))


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_name(f"{STAGING_PREFIX}{path.name}-{uuid.uuid4().hex}")
    try:
        aside.write_text(text, encoding="utf-8")
        _flush(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _flush_folders(root: Path) -> None:
    for folder in [root, *(p for p in root.rglob("*") if p.is_dir())]:
        _flush(folder)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
