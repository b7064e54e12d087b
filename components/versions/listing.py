"""What a serving folder holds.

    <serving_dir>/<name>/3/saved_model.pb ...             a version, whole from the moment it is seen
    <serving_dir>/<name>/3/assets.extra/push.json         who, what and when
    <serving_dir>/<name>/.highest                         highest number ever used
    <serving_dir>/<name>/.lock, .staging-*, .removed-*    never served: model servers take numbers only

Plain Python: no TensorFlow, no TFX.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.versions.record import PushRecord, read_record, version_damage
from models.errors import PipelineError, UsageError


@dataclass(frozen=True)
class ServedVersion:
    """One number under `<serving_dir>/<name>`, with what push.json says about it (see `read_record`)."""

    number: int
    path: Path
    record: PushRecord

    @property
    def origin(self) -> int:
        """The version whose content this is: its own number, unless a rollback made it."""
        return self.record.restored_from or self.number

    @property
    def is_push(self) -> bool:
        """Whether a run put it there; a rollback or a promotion is a person's decision."""
        return self.record.restored_from is None and self.record.promoted_from is None

    def damage(self, thorough: bool = False) -> str:
        """See `version_damage`."""
        return version_damage(self.path, thorough)


def versions(serving_dir: str | Path, name: str) -> list[ServedVersion]:
    """Returns what is served, oldest first; empty when nothing was pushed yet.

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
            f"{home}: cannot be read ({error.strerror or error}); check push.serving_dir and the rights of "
            "the folder"
        ) from error
    return [ServedVersion(number, path, read_record(path)) for number, path in found]


def home_of(serving_dir: str | Path, name: str) -> Path:
    """Returns `<serving_dir>/<name>`; raises UsageError when one of them cannot be a folder."""
    reason = why_no_serving_dir(str(serving_dir))
    if reason:
        raise UsageError(reason)
    if not name or name.startswith(".") or "/" in name:
        raise UsageError(f"model name {name!r} cannot be a folder: use letters, digits, '-' and '_'")
    return Path(serving_dir) / name


def why_no_serving_dir(text: str) -> str:
    """Why versions cannot be pushed to what somebody wrote; "" when they can.

    To be asked before the text is a Path, which would make the folder `gs:/bucket` of `gs://bucket`.
    """
    if "://" not in text:
        return ""
    return (
        f"{text!r} cannot be a serving folder: versions are made visible by renaming a folder, so it must be on "
        "a mounted file system, not an object store; put that into push.destinations (- folder: ...)"
    )


def numbers(served: Sequence[ServedVersion]) -> str:
    """For messages: `1, 2, 4`."""
    return ", ".join(str(version.number) for version in served) or "none"


def _is_version(path: Path) -> bool:
    return path.name.isascii() and path.name.isdigit() and path.is_dir()
