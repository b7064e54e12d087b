"""What makes two SavedModel folders the same model, and whether a pushed one is still whole. Plain Python.

The same model is: equal files under equal names, but for `fingerprint.pb`, which has a random id in every
export, and `assets.extra`, where a push puts its record and the canary its warm-up requests.
"""

from __future__ import annotations

import filecmp
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SAVED_MODEL = "saved_model.pb"
EXTRAS = "assets.extra"  # the folder of a SavedModel that loaders leave alone
RECORD_FILE = Path(EXTRAS, "push.json")
_RANDOM = "fingerprint.pb"


def file_digests(model_dir: Path) -> dict[str, str]:
    """Returns file (relative, `/`) -> sha256 (hex) of every file but push.json."""
    return {name: _sha256(path) for name, path in _files(model_dir) if name != RECORD_FILE.as_posix()}


def model_digest(digests: Mapping[str, str]) -> str:
    """Returns one sha256 (hex) for the model that `file_digests` read: equal for the same model."""
    listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()) if _counts(name))
    return hashlib.sha256(listing.encode()).hexdigest()


def same_model(one: Path, other: Path) -> bool:
    """Whether two folders hold the same model; reads until the first difference.

    A folder without saved_model.pb, or that cannot be read, is the same as nothing.
    """
    try:
        mine, theirs = _content(one), _content(other)
        return (
            SAVED_MODEL in mine
            and mine.keys() == theirs.keys()
            and all(filecmp.cmp(path, theirs[name], shallow=False) for name, path in mine.items())
        )
    except OSError:
        return False


def file_facts(model_dir: Path, digests: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Returns what `damage` compares with: file -> {"bytes", "mtime_ns", "sha256"}."""
    facts: dict[str, dict[str, Any]] = {}
    for name, digest in digests.items():
        status = (model_dir / name).stat()
        facts[name] = {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": digest}
    return facts


def damage(version_dir: Path, record: Mapping[str, Any], thorough: bool = False) -> str:
    """Returns why a folder is no longer what was pushed; "" when it is.

    Without a record (a model that was copied there by hand) only saved_model.pb is asked for.

    Args:
      version_dir: folder of the version.
      record: its push.json.
      thorough: read every file. Otherwise a file of the size and the time of its push counts as
        unchanged, which costs microseconds instead of the time to read the weights.
    """
    if not (version_dir / SAVED_MODEL).is_file():
        return f"no {SAVED_MODEL}"
    files = record.get("files")
    for name, facts in files.items() if isinstance(files, dict) else ():
        try:
            problem = _file_damage(version_dir / name, facts, thorough)
        except (OSError, KeyError, TypeError) as error:
            problem = f"cannot be checked ({type(error).__name__}: {error})"
        if problem:
            return f"{name} {problem}"
    return ""


def _file_damage(path: Path, facts: Mapping[str, Any], thorough: bool) -> str:
    if not path.is_file():
        return "is gone"
    status = path.stat()
    if status.st_size != facts["bytes"]:
        return f"has {status.st_size} bytes, {facts['bytes']} were pushed"
    unread = status.st_mtime_ns == facts["mtime_ns"] and not thorough
    return "" if unread or _sha256(path) == facts["sha256"] else "is not the file that was pushed"


def _content(model_dir: Path) -> dict[str, Path]:
    return {name: path for name, path in _files(model_dir) if _counts(name)}


def _files(model_dir: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(p for p in model_dir.rglob("*") if p.is_file()):
        yield path.relative_to(model_dir).as_posix(), path


def _counts(name: str) -> bool:
    return name != _RANDOM and not name.startswith(f"{EXTRAS}/")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
