"""The versions of one served model: list, publish, prune, roll back, promote.

    <serving_dir>/<name>/3/saved_model.pb ...             a version, whole from the moment it is seen
    <serving_dir>/<name>/3/assets.extra/push.json         who, what and when
    <serving_dir>/<name>/.highest                         highest number ever used
    <serving_dir>/<name>/.lock, .staging-*, .removed-*    never served: model servers take numbers only

Plain Python: no TensorFlow, no TFX.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import GateRefused, PipelineError, UsageError
from components.model_files import RECORD_FILE, SAVED_MODEL, damage, file_digests, same_model
from components.pusher import staging
from components.pusher.runs import RUN_ID, RUN_STARTED_AT, is_newer

_log = logging.getLogger(__name__)


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

    @property
    def is_push(self) -> bool:
        """Whether a run put it there; a rollback or a promotion is a person's decision."""
        return not (self.info.get("restored_from") or self.info.get("promoted_from"))


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
        info = json.loads((version_dir / RECORD_FILE).read_text(encoding="utf-8"))
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
    force: bool = False,
) -> int:
    """Makes `model_dir` the newest version of `name` and keeps the newest `keep`; returns its number.

    Numbers grow strictly from 1 and never come back, also after a removal by hand. Nothing is written, and
    the number of the version is returned, when the newest version is this very model and is whole; or when
    a rollback or promotion stands on top of such a push: a run does not undo what a person decided.

    Args:
      info: written to push.json; JSON values. With `run_id` and `run_started_at` (ISO 8601 with a zone)
        the push is refused when the folder holds a model of a run that started later.
      check: called with the complete copy before it becomes visible; raises PipelineError to refuse it.
      force: push also over a newer run's model, a rollback or a promotion.

    Raises:
      GateRefused: a newer run has pushed already.
      PipelineError: no model at `model_dir`, disk full, no permission, or the copy differs from its
        source. The served versions are then untouched.
    """
    source = Path(model_dir)
    _require_model(source)
    with _writing(serving_dir, name) as home:
        there = _already_there(versions(serving_dir, name), source, force)
        if there is not None:
            return there.number
        admit = None if force else functools.partial(_refuse_older_run, home, info)
        if admit is not None:
            admit()
        number = staging.add_version(home, source, file_digests(source), info, check, admit)
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
            raise UsageError(
                f"{home}: nothing to roll back to, it needs an earlier version (served now: {_numbers(served)})"
            )
        target = _newest_whole(earlier)
        info = {**target.info, "restored_from": target.origin, "promoted_from": None}
        number = staging.add_version(home, target.path, file_digests(target.path), info)
        if keep is not None:
            _prune_after(number, serving_dir, name, keep)
    return number


def promote(
    serving_dir: str | Path,
    name: str,
    number: int,
    to: str | Path | None = None,
    keep: int | None = None,
    force: bool = False,
) -> int:
    """Copies version `number` on top of `to` (by default of its own folder); returns the new number.

    Versions 1, 2, 3 and promote 1 -> 4 with the content of 1; from staging to production, which holds 1
    and 2 -> production's 3. When the newest version there is this very model, its number is returned.

    Args:
      to: serving folder of the same model elsewhere.
      keep: newest versions that stay there, the new one included; None removes nothing.
      force: promote also over a newer run's model in another folder.

    Raises:
      UsageError: there is no such version, or `keep` is below 1.
      GateRefused: `to` holds a model of a run that started after this version's.
      PipelineError: the version is damaged; else as in `publish`.
    """
    if keep is not None:
        _require_keep(keep)
    chosen = {v.number: v for v in versions(serving_dir, name)}.get(number)
    if chosen is None:
        have = _numbers(versions(serving_dir, name))
        raise UsageError(f"{_home(serving_dir, name)}: there is no version {number} (served now: {have})")
    broken = damage(chosen.path, chosen.info, thorough=True)
    if broken:
        raise PipelineError(f"{chosen.path}: not promoted, the version is damaged: {broken}")
    elsewhere = to is not None and Path(to).resolve() != Path(serving_dir).resolve()
    target_dir = to if to is not None else serving_dir
    source = {"serving_dir": str(Path(serving_dir).absolute()) if elsewhere else None, "version": number}
    info = {**chosen.info, "restored_from": None, "promoted_from": source}
    with _writing(target_dir, name) as home:
        newest = versions(target_dir, name)[-1:]
        if newest and _is_whole_copy(newest[0], chosen.path):
            return newest[0].number
        if elsewhere and not force:
            _refuse_older_run(home, info)
        made = staging.add_version(home, chosen.path, file_digests(chosen.path), info)
        if keep is not None:
            _prune_after(made, target_dir, name, keep)
    return made


def prune(serving_dir: str | Path, name: str, keep: int, dry_run: bool = False) -> list[int]:
    """Removes all but the newest `keep` versions; returns the numbers removed, oldest first.

    Args:
      dry_run: only say which.

    Raises:
      UsageError: `keep` is below 1.
    """
    _require_keep(keep)
    if dry_run:
        return [version.number for version in versions(serving_dir, name)[:-keep]]
    with _writing(serving_dir, name):
        return _prune(serving_dir, name, keep)


def _home(serving_dir: str | Path, name: str) -> Path:
    if "://" in str(serving_dir):
        raise UsageError(
            f"serving_dir {str(serving_dir)!r}: versions are made visible by renaming a folder, "
            "so it must be on a mounted file system, not an object store (push.destinations may be one)"
        )
    if not name or name.startswith(".") or "/" in name:
        raise UsageError(f"model name {name!r} cannot be a folder: use letters, digits, '-' and '_'")
    return Path(serving_dir) / name


@contextlib.contextmanager
def _writing(serving_dir: str | Path, name: str) -> Iterator[Path]:
    home = _home(serving_dir, name)
    with staging.writing(home):
        yield home


def _is_version(path: Path) -> bool:
    return path.name.isascii() and path.name.isdigit() and path.is_dir()


def _numbers(served: Sequence[ServedVersion]) -> str:
    return ", ".join(str(version.number) for version in served) or "none"


def _require_model(source: Path) -> None:
    if not (source / SAVED_MODEL).is_file():
        raise PipelineError(
            f"{source}: no {SAVED_MODEL}, so there is no model to push; run the Trainer again"
        )


def _require_keep(keep: int) -> None:
    if keep < 1:
        raise UsageError(f"keep must be at least 1, got {keep}: the newest version is always kept")


def _already_there(served: Sequence[ServedVersion], source: Path, force: bool) -> ServedVersion | None:
    """The version that makes a push of `source` needless."""
    pushes = [version for version in served if version.is_push]
    candidates = list(served[-1:]) if force else [*served[-1:], *pushes[-1:]]
    found = next((version for version in candidates if _is_whole_copy(version, source)), None)
    if found is not None and found is not served[-1]:
        _log.warning("Version %d stands: it was put on top of %d by hand", served[-1].number, found.number)
    return found


def _is_whole_copy(version: ServedVersion, source: Path) -> bool:
    return same_model(version.path, source) and not damage(version.path, version.info)


def _refuse_older_run(home: Path, info: Mapping[str, Any]) -> None:
    """Raises GateRefused when a run that started after that of `info` is in the folder already."""
    for version in reversed(versions(home.parent, home.name)):
        if is_newer(version.info, info):
            raise GateRefused(
                f"{home}: version {version.number} is of run {version.info.get(RUN_ID)}, which started at "
                f"{version.info[RUN_STARTED_AT]}, after run {info.get(RUN_ID)} ({info[RUN_STARTED_AT]}): nothing "
                "was pushed; a run that starts now may replace it, or --force (on Kubeflow force_push: 1)"
            )


def _newest_whole(candidates: Sequence[ServedVersion]) -> ServedVersion:
    """The last of the candidates (oldest first) that is as it was pushed."""
    damaged = []
    for version in reversed(candidates):
        broken = damage(version.path, version.info, thorough=True)
        if not broken:
            return version
        _log.warning("Not rolled back to version %d: %s", version.number, broken)
        damaged.append(f"{version.number} ({broken})")
    raise PipelineError(
        f"{candidates[-1].path.parent}: nothing was rolled back, every earlier version is damaged: "
        f"{', '.join(damaged)}; push a model again"
    )


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
        staging.remove_version(version.path)
    return [version.number for version in old]
