"""Lists the contents of a serving folder.

    <serving_dir>/<name>/3/saved_model.pb ...             a version, complete as soon as it is visible
    <serving_dir>/<name>/3/assets.extra/push.json         who pushed what, and when
    <serving_dir>/<name>/.highest                         highest number ever used
    <serving_dir>/<name>/.lock, .staging-*, .removed-*    never served: model servers load only numbers

Plain Python, without TensorFlow and TFX.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.versions.record import PushRecord, read_record, version_damage
from models.errors import PipelineError, UsageError


@dataclass(frozen=True)
class ServedVersion:
    """One version under `<serving_dir>/<name>`, with its push.json (see `read_record`)."""

    number: int
    path: Path
    record: PushRecord

    @property
    def origin(self) -> int:
        """The version that the content is from: the own number, unless a rollback made this version."""
        return self.record.restored_from or self.number

    @property
    def is_push(self) -> bool:
        """Whether a run pushed it; rollbacks and promotions are a person's decision."""
        return self.record.restored_from is None and self.record.promoted_from is None

    def damage(self, thorough: bool = False) -> str:
        """See `version_damage`."""
        return version_damage(self.path, thorough)


def versions(serving_dir: str | Path, name: str) -> list[ServedVersion]:
    """Returns the served versions, oldest first; empty if nothing has been pushed.

    >>> [v.number for v in versions("serving", "trec")]  # doctest: +SKIP
    [1, 2, 4]

    Raises:
        PipelineError: the folder cannot be read.
    """
    home = home_of(serving_dir, name)
    try:
        found = sorted((int(path.name), path) for path in home.iterdir() if _is_version(path))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PipelineError(
            f"{home}: cannot be read ({error.strerror or error}); check push.serving_dir and the permissions of "
            "the folder"
        ) from error
    return [ServedVersion(number, path, read_record(path)) for number, path in found]


def home_of(serving_dir: str | Path, name: str) -> Path:
    """Returns `<serving_dir>/<name>`; raises UsageError if one of them cannot be a folder."""
    reason = why_no_serving_dir(str(serving_dir))
    if reason:
        raise UsageError(reason)
    if not name or name.startswith(".") or "/" in name:
        raise UsageError(f"model name {name!r} cannot be a folder: use letters, digits, '-' and '_'")
    return Path(serving_dir) / name


def why_no_serving_dir(text: str) -> str:
    """Returns why versions cannot be pushed to a place; "" if they can.

    Called before the text becomes a Path, which would turn `gs://bucket` into the folder `gs:/bucket`.
    """
    if "://" not in text:
        return ""
    return (
        f"{text!r} cannot be a serving folder: versions are made visible by renaming a folder, so it must be on "
        "a mounted file system, not an object store; use push.destinations (- folder: ...) for that"
    )


def numbers(served: Sequence[ServedVersion]) -> str:
    """The version numbers for messages: `1, 2, 4`."""
    return ", ".join(str(version.number) for version in served) or "none"


def _is_version(path: Path) -> bool:
    return path.name.isascii() and path.name.isdigit() and path.is_dir()
