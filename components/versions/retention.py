"""Removes old versions. Plain Python."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from components.versions import staging
from components.versions.listing import ServedVersion, home_of, versions
from models.errors import PipelineError, UsageError

_log = logging.getLogger(__name__)


def prune(serving_dir: str | Path, name: str, keep: int, dry_run: bool = False) -> list[int]:
    """Removes all but the newest `keep` versions; returns the numbers removed, oldest first.

    If all of those are damaged, the newest intact one is also kept, because a server can load no other.

    Args:
        dry_run: return the numbers without removing anything.

    Raises:
        UsageError: `keep` is below 1.
        PipelineError: the folder cannot be read or written.
    """
    require_keep(keep)
    served = versions(serving_dir, name)
    if dry_run or len(served) <= keep:
        return [version.number for version in _old(served, keep)]
    with staging.writing(home_of(serving_dir, name), "pruned"):
        return _prune(serving_dir, name, keep)


def prune_after(number: int, serving_dir: str | Path, name: str, keep: int) -> None:
    """Prunes after version `number` was made. A failure is only logged; the next push tries again."""
    try:
        _prune(serving_dir, name, keep)
    except (OSError, PipelineError) as error:
        _log.warning(
            "%s: version %d is served, but old ones could not be removed: %s",
            home_of(serving_dir, name),
            number,
            error,
        )


def require_keep(keep: int) -> None:
    """Raises UsageError if no version would be kept."""
    if keep < 1:
        raise UsageError(f"keep must be at least 1, got {keep}: the newest version is always kept")


def _prune(serving_dir: str | Path, name: str, keep: int) -> list[int]:
    old = _old(versions(serving_dir, name), keep)
    for version in old:
        staging.remove_version(version.path)
    return [version.number for version in old]


def _old(served: Sequence[ServedVersion], keep: int) -> list[ServedVersion]:
    """The versions to remove, oldest first."""
    old = list(served[:-keep])
    if old:
        whole = next((v for v in reversed(served) if not v.damage(thorough=True)), None)
        old = [version for version in old if version is not whole]
    return old
