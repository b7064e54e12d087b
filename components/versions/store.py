"""Operations on the versions of a served model: push, roll back, promote (see also `listing`, `retention`).

Plain Python, without TensorFlow and TFX.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from components.model_files import SAVED_MODEL, file_digests, same_model
from components.versions import staging
from components.versions.listing import ServedVersion, home_of, numbers, versions
from components.versions.record import Promotion, PushRecord
from components.versions.retention import prune, prune_after, require_keep
from components.versions.runs import is_newer
from models.errors import GateRefused, PipelineError, UsageError

__all__ = ["ServedVersion", "promote", "prune", "publish", "rollback", "versions"]

_log = logging.getLogger(__name__)


def publish(
    model_dir: str | Path,
    serving_dir: str | Path,
    name: str,
    keep: int,
    record: PushRecord,
    check: Callable[[Path], None] | None = None,
    force: bool = False,
    digests: dict[str, str] | None = None,
) -> int:
    """Makes `model_dir` the newest version of `name` and keeps the newest `keep`; returns its number.

    Numbers increase from 1 and are never reused, even after a removal by hand. Nothing is written if the newest
    version is this same model and is intact, or if a rollback or promotion came after such a push, because a run
    does not undo a person's decision. The number of that version is returned instead.

    Args:
        record: what push.json says of the model. With `run_id` and `run_started_at` (ISO 8601 with a zone)
            the push is refused if the folder has a model of a run that started later.
        check: called with the complete copy before it becomes visible; raises PipelineError to reject it.
        force: push even over a newer run's model, a rollback or a promotion.
        digests: `file_digests` of what was judged, which the copy must have; by default those of `model_dir`
            now.

    Raises:
        GateRefused: a newer run has already pushed.
        PipelineError: there is no model at `model_dir`, the disk is full, a permission is missing, or the copy
            differs from its source. The served versions are then unchanged.
    """
    source = Path(model_dir)
    _require_model(source)
    home = home_of(serving_dir, name)
    with staging.writing(home):
        there = _already_there(versions(serving_dir, name), source, force)
        if there is not None:
            return there.number
        admit = None if force else functools.partial(_refuse_older_run, home, record)
        if admit is not None:
            admit()
        if digests is None:
            digests = file_digests(source)
        number = staging.add_version(home, source, digests, record, check, admit)
        prune_after(number, serving_dir, name, keep)
    return number


def rollback(serving_dir: str | Path, name: str, keep: int | None = None) -> int:
    """Restores the version before the newest as a new, newest version; returns its number.

    With versions 1, 2, 3 it makes 4 with the content of 2; called again, 5 with the content of 1. A version that
    was damaged since its push (a file is missing, truncated or changed) is skipped for the next earlier one.

    Args:
        keep: number of newest versions to keep, including the new one; None removes nothing.

    Raises:
        UsageError: there is no earlier version, or `keep` is below 1.
        PipelineError: every earlier version is damaged; otherwise as in `publish`.
    """
    if keep is not None:
        require_keep(keep)
    home = home_of(serving_dir, name)
    _earlier(home)  # before the lock, which would create a missing folder
    with staging.writing(home, "rolled back"):
        target = _newest_whole(_earlier(home))
        record = replace(target.record, restored_from=target.origin, promoted_from=None)
        number = staging.add_version(home, target.path, file_digests(target.path), record)
        if keep is not None:
            prune_after(number, serving_dir, name, keep)
    return number


def promote(
    serving_dir: str | Path,
    name: str,
    number: int,
    to: str | Path | None = None,
    keep: int | None = None,
    force: bool = False,
) -> int:
    """Copies version `number` to `to` (by default its own folder) as the newest version; returns the new number.

    With versions 1, 2, 3, promoting 1 makes 4 with the content of 1; promoting from staging to production, which
    has 1 and 2, makes production's 3. If the newest version there is this same model, its number is returned.

    Args:
        to: another serving folder of the same model.
        keep: number of newest versions to keep there, including the new one; None removes nothing.
        force: promote even over a newer run's model in another folder.

    Raises:
        UsageError: there is no such version, `to` is an object store, or `keep` is below 1.
        GateRefused: `to` has a model of a run that started after this version's.
        PipelineError: the version is damaged; otherwise as in `publish`.
    """
    if keep is not None:
        require_keep(keep)
    target_dir = to if to is not None else serving_dir
    home = home_of(target_dir, name)
    chosen = _whole(serving_dir, name, number)
    elsewhere = Path(target_dir).resolve() != Path(serving_dir).resolve()
    source = Promotion(number, str(Path(serving_dir).absolute()) if elsewhere else None)
    record = replace(chosen.record, restored_from=None, promoted_from=source)
    with staging.writing(home, "promoted"):
        newest = versions(target_dir, name)[-1:]
        if newest and _is_whole_copy(newest[0], chosen.path):
            return newest[0].number
        if elsewhere and not force:
            _refuse_older_run(home, record)
        made = staging.add_version(home, chosen.path, file_digests(chosen.path), record)
        if keep is not None:
            prune_after(made, target_dir, name, keep)
    return made


def _whole(serving_dir: str | Path, name: str, number: int) -> ServedVersion:
    served = versions(serving_dir, name)
    chosen = next((version for version in served if version.number == number), None)
    if chosen is None:
        raise UsageError(
            f"{home_of(serving_dir, name)}: there is no version {number} (served now: {numbers(served)})"
        )
    broken = chosen.damage(thorough=True)
    if broken:
        raise PipelineError(f"{chosen.path}: not promoted, the version is damaged: {broken}")
    return chosen


def _require_model(source: Path) -> None:
    if not (source / SAVED_MODEL).is_file():
        raise PipelineError(
            f"{source}: no {SAVED_MODEL}, so there is no model to push; run the Trainer again"
        )


def _already_there(served: Sequence[ServedVersion], source: Path, force: bool) -> ServedVersion | None:
    """The version that makes a push of `source` unnecessary."""
    pushes = [version for version in served if version.is_push]
    candidates = list(served[-1:]) if force else [*served[-1:], *pushes[-1:]]
    found = next((version for version in candidates if _is_whole_copy(version, source)), None)
    if found is not None and found is not served[-1]:
        _log.warning("Version %d stays: it was put on top of %d by hand", served[-1].number, found.number)
    return found


def _is_whole_copy(version: ServedVersion, source: Path) -> bool:
    return same_model(version.path, source) and not version.damage()


def _refuse_older_run(home: Path, record: PushRecord) -> None:
    """Raises GateRefused when a run that started after that of `record` is in the folder already."""
    for version in reversed(versions(home.parent, home.name)):
        theirs = version.record
        if is_newer(theirs, record):
            raise GateRefused(
                f"{home}: version {version.number} is of run {theirs.run_id}, which started at "
                f"{theirs.run_started_at}, after run {record.run_id} ({record.run_started_at}): nothing "
                "was pushed; a run that starts now may replace it, or --force (on Kubeflow force_push: 1)"
            )


def _earlier(home: Path) -> list[ServedVersion]:
    """The versions with older content than the newest one's, oldest first."""
    served = versions(home.parent, home.name)
    earlier = [v for v in served[:-1] if v.origin < served[-1].origin]
    if not earlier:
        raise UsageError(
            f"{home}: nothing to roll back to, it needs an earlier version (served now: {numbers(served)})"
        )
    return earlier


def _newest_whole(candidates: Sequence[ServedVersion]) -> ServedVersion:
    """The last of the candidates (oldest first) that is intact."""
    damaged = []
    for version in reversed(candidates):
        broken = version.damage(thorough=True)
        if not broken:
            return version
        _log.warning("Not rolled back to version %d: %s", version.number, broken)
        damaged.append(f"{version.number} ({broken})")
    raise PipelineError(
        f"{candidates[-1].path.parent}: nothing was rolled back, every earlier version is damaged: "
        f"{', '.join(damaged)}; push a model again"
    )
