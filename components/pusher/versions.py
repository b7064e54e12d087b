"""The versions of one served model: list, publish, prune, roll back.

    <serving_dir>/<name>/3/saved_model.pb ...             a version, whole from the moment it is seen
    <serving_dir>/<name>/3/assets.extra/push.json         who, what and when
    <serving_dir>/<name>/.highest                         highest number ever used
    <serving_dir>/<name>/.lock, .staging-*, .removed-*    never served: model servers take numbers only

A version is copied aside on the same file system, flushed to disk, compared with its source and then
renamed. A process killed at any moment therefore leaves whole versions only; what it left aside is
removed by the next push. Plain Python: no TensorFlow, no TFX.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.errors import PipelineError, UsageError

INFO_FILE = Path("assets.extra", "push.json")  # the folder of a SavedModel that loaders leave alone
HIGHEST_FILE = ".highest"
LOCK_FILE = ".lock"
STAGING_PREFIX = ".staging-"
REMOVED_PREFIX = ".removed-"

_log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class ServedVersion:
    """One number under `<serving_dir>/<name>`, with what `push.json` says about it ({} if unreadable)."""

    number: int
    path: Path
    info: Mapping[str, Any]

    @property
    def origin(self) -> int:
        """The version whose content this is: its own number, unless a rollback made it."""
        return int(self.info.get("restored_from") or self.number)


def versions(serving_dir: str | Path, name: str) -> list[ServedVersion]:
    """Returns what is served, oldest first; empty when nothing was pushed yet.

    >>> [v.number for v in versions("serving", "trec")]  # doctest: +SKIP
    [1, 2, 4]
    """
    home = _home(serving_dir, name)
    if not home.is_dir():
        return []
    found = sorted((int(p.name), p) for p in home.iterdir() if _is_version(p))
    return [ServedVersion(number, path, read_info(path)) for number, path in found]


def read_info(version_dir: Path) -> dict[str, Any]:
    """Returns the version's push.json, {} when it has none (a model that was copied there by hand)."""
    try:
        info = json.loads((version_dir / INFO_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}


def publish(
    model_dir: str | Path,
    serving_dir: str | Path,
    name: str,
    keep: int,
    info: Mapping[str, Any],
    check: Callable[[Path], None] | None = None,
) -> int:
    """Makes `model_dir` the newest version of `name` and keeps the newest `keep`; returns its number.

    Numbers grow strictly from 1 and never come back, also after a removal by hand. When the newest
    version already holds this very content on disk, its number is returned and nothing is written; one
    that was damaged since its push gets a successor.

    Args:
      info: written to push.json beside version, pushed_at, model_sha256 and restored_from; JSON values.
      check: called with the complete copy before it becomes visible; raises PipelineError to refuse it.

    Raises:
      PipelineError: no model at `model_dir`, disk full, no permission, or the copy differs from its
        source. The served versions are then untouched.
    """
    source = Path(model_dir)
    _require_model(source)
    with _writing(serving_dir, name) as home:
        digests = content_digests(source)
        newest = versions(serving_dir, name)[-1:]
        if newest and _holds(newest[0], digests):
            return newest[0].number
        number = _add_version(home, source, digests, dict(info), check)
        _prune_after(number, serving_dir, name, keep)
    return number


def rollback(serving_dir: str | Path, name: str, keep: int | None = None) -> int:
    """Puts the version before the newest back as a new, newest version; returns its number.

    Versions 1, 2, 3 -> 4 with the content of 2; called again -> 5 with the content of 1. A version that
    was damaged since its push (a file lost, cut or changed) is passed over for the next earlier one.

    Args:
      keep: newest versions that stay, the new one included; None removes nothing.

    Raises:
      UsageError: there is no earlier version, or `keep` is below 1.
      PipelineError: every earlier version is damaged; else as in `publish`.
    """
    if keep is not None:
        _require_keep(keep)
    with _writing(serving_dir, name) as home:
        served = versions(serving_dir, name)
        earlier = [v for v in served[:-1] if v.origin < served[-1].origin]
        if not earlier:
            have = ", ".join(str(v.number) for v in served) or "none"
            raise UsageError(
                f"{home}: nothing to roll back to, it needs an earlier version (served now: {have})"
            )
        target, digests = _newest_whole(earlier)
        info = {**target.info, "restored_from": target.origin}
        number = _add_version(home, target.path, digests, info, None)
        if keep is not None:
            _prune_after(number, serving_dir, name, keep)
    return number


def prune(serving_dir: str | Path, name: str, keep: int) -> list[int]:
    """Removes all but the newest `keep` versions; returns the numbers removed, oldest first.

    Raises:
      UsageError: `keep` is below 1.
    """
    _require_keep(keep)
    with _writing(serving_dir, name):
        return _prune(serving_dir, name, keep)


def content_digests(model_dir: Path) -> dict[str, str]:
    """Returns file (relative, `/`) -> sha256 (hex) of all that makes the model, push.json left out."""
    files = sorted(p for p in model_dir.rglob("*") if p.is_file() and p.relative_to(model_dir) != INFO_FILE)
    return {p.relative_to(model_dir).as_posix(): _sha256(p) for p in files}


def model_digest(digests: Mapping[str, str]) -> str:
    """Returns one sha256 (hex) for the whole model: equal for equal files under equal names."""
    listing = "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items()))
    return hashlib.sha256(listing.encode()).hexdigest()


def _home(serving_dir: str | Path, name: str) -> Path:
    if "://" in str(serving_dir):
        raise UsageError(
            f"serving_dir {str(serving_dir)!r}: versions are made visible by renaming a folder, "
            "so it must be on a mounted file system, not an object store"
        )
    if not name or name.startswith(".") or "/" in name:
        raise UsageError(f"model name {name!r} cannot be a folder: use letters, digits, '-' and '_'")
    return Path(serving_dir) / name


def _is_version(path: Path) -> bool:
    return path.name.isascii() and path.name.isdigit() and path.is_dir()


def _require_model(source: Path) -> None:
    if not (source / "saved_model.pb").is_file():
        raise PipelineError(
            f"{source}: no saved_model.pb, so there is no model to push; run the Trainer again"
        )


def _require_keep(keep: int) -> None:
    if keep < 1:
        raise UsageError(f"keep must be at least 1, got {keep}: the newest version is always kept")


def _holds(version: ServedVersion, digests: Mapping[str, str]) -> bool:
    """Whether the files on disk, not only push.json, are these."""
    try:
        return content_digests(version.path) == digests
    except OSError as error:
        _log.warning("%s: cannot be read (%s), so it is not taken for the same model", version.path, error)
        return False


def _newest_whole(candidates: Sequence[ServedVersion]) -> tuple[ServedVersion, dict[str, str]]:
    """The last of the candidates (oldest first) that is as it was pushed, with its files' digests."""
    damaged = []
    for version in reversed(candidates):
        try:
            digests = _whole_digests(version)
        except (PipelineError, OSError) as error:
            _log.warning("Not rolled back to version %d: %s", version.number, error)
            damaged.append(f"{version.number} ({error})")
        else:
            return version, digests
    raise PipelineError(
        f"{candidates[-1].path.parent}: nothing was rolled back, every earlier version is damaged: "
        f"{', '.join(damaged)}; push a model again"
    )


def _whole_digests(version: ServedVersion) -> dict[str, str]:
    if not (version.path / "saved_model.pb").is_file():
        raise PipelineError("no saved_model.pb")
    digests = content_digests(version.path)
    # A model copied there by hand has no record to compare with.
    if version.info.get("model_sha256") not in (None, model_digest(digests)):
        raise PipelineError(f"its files are not those that {INFO_FILE} records")
    return digests


@contextlib.contextmanager
def _writing(serving_dir: str | Path, name: str) -> Iterator[Path]:
    """One writer at a time; the kernel drops the lock of a killed process."""
    home = _home(serving_dir, name)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with open(home / LOCK_FILE, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _remove_left_overs(home)
            yield home
    except OSError as error:
        raise _push_failed(home, error) from error


def _push_failed(home: Path, error: OSError) -> PipelineError:
    if error.errno in _NO_SPACE:
        free = shutil.disk_usage(home).free if home.is_dir() else 0
        return PipelineError(
            f"{home}: disk full ({free / 1e6:.1f} MB free): nothing was pushed and what was served is "
            "untouched; free some space, or lower push.keep, and run again"
        )
    where = error.filename or home
    return PipelineError(
        f"{where}: {error.strerror or error}; nothing was pushed, what was served is untouched"
    )


def _remove_left_overs(home: Path) -> None:
    """Only a process that died can have left these: the lock is ours."""
    for path in home.iterdir():
        if path.name.startswith((STAGING_PREFIX, REMOVED_PREFIX)):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _add_version(
    home: Path,
    source: Path,
    digests: dict[str, str],
    info: dict[str, Any],
    check: Callable[[Path], None] | None,
) -> int:
    # mkdir, not mkdtemp: the folder becomes the version, and the server may run as another user.
    staging = home / f"{STAGING_PREFIX}{uuid.uuid4().hex}"
    try:
        _copy(source, staging, digests)
        _compare(staging, digests, source)
        if check is not None:
            check(staging)
        return _make_visible(home, staging, digests, info)
    finally:
        if staging.exists():
            shutil.rmtree(staging)


def _copy(source: Path, staging: Path, digests: Mapping[str, str]) -> None:
    staging.mkdir()
    for relative in digests:
        target = staging / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / relative, target)
        _flush(target)


def _compare(staging: Path, digests: Mapping[str, str], source: Path) -> None:
    copied = content_digests(staging)
    wrong = sorted(path for path in digests if copied.get(path) != digests[path])
    if wrong:
        raise PipelineError(
            f"{staging.parent}: the copy of {wrong[0]!r} differs from {source / wrong[0]} "
            f"({len(wrong)} of {len(digests)} files); nothing was pushed, check the disk and run again"
        )


def _make_visible(home: Path, staging: Path, digests: Mapping[str, str], info: dict[str, Any]) -> int:
    while True:
        number = _next_number(home)
        _write_info(staging, number, digests, info)
        _flush_folders(staging)
        # Recorded before the rename: a crash between the two costs a number, never repeats one.
        _write_whole(home / HIGHEST_FILE, f"{number}\n")
        try:
            os.rename(staging, home / str(number))
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                continue  # taken by a writer that does not use our lock
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


def _write_info(staging: Path, number: int, digests: Mapping[str, str], info: dict[str, Any]) -> None:
    (staging / INFO_FILE).parent.mkdir(exist_ok=True)
    document = {
        "restored_from": None,
        **info,
        "version": number,
        "pushed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": model_digest(digests),
    }
    _write_whole(staging / INFO_FILE, json.dumps(document, indent=2, sort_keys=True) + "\n")


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_name(f"{STAGING_PREFIX}{path.name}-{uuid.uuid4().hex}")
    try:
        aside.write_text(text, encoding="utf-8")
        _flush(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _prune_after(number: int, serving_dir: str | Path, name: str, keep: int) -> None:
    try:
        _prune(serving_dir, name, keep)
    except OSError as error:  # the new version stands; the next push tries again
        _log.warning(
            "%s: version %d is there, but old ones could not be removed: %s",
            _home(serving_dir, name),
            number,
            error,
        )


def _prune(serving_dir: str | Path, name: str, keep: int) -> list[int]:
    old = versions(serving_dir, name)[:-keep]
    for version in old:
        # Out of sight in one step first, so that no server ever loads half of it.
        aside = version.path.with_name(f"{REMOVED_PREFIX}{version.number}-{uuid.uuid4().hex}")
        os.rename(version.path, aside)
        shutil.rmtree(aside)
    return [version.number for version in old]


def _flush_folders(root: Path) -> None:
    for folder in [root, *(p for p in root.rglob("*") if p.is_dir())]:
        _flush(folder)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
