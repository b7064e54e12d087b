"""Whether two SavedModel folders hold the same model, and whether one is intact. Plain Python.

Two folders hold the same model if they have equal files under equal names, except for `fingerprint.pb`, which has
a random id in every export, and `assets.extra`, where a push writes its record and the canary its warm-up requests.

The export writes the digests of all files to `assets.extra/SHA256SUMS`, which `sha256sum -c
assets.extra/SHA256SUMS` in the model's folder can check too. It travels with every copy, so each gate and the
push compare what they read with what was exported, on any orchestrator.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from models import features
from models.errors import PipelineError
from models.tasks.objective import Constants

SAVED_MODEL = "saved_model.pb"
EXTRAS = "assets.extra"  # the folder of a SavedModel that loaders ignore
RECORD_FILE = Path(EXTRAS, "push.json")
SUMS_FILE = Path(EXTRAS, "SHA256SUMS")
_SUMS = SUMS_FILE.as_posix()
_RANDOM = "fingerprint.pb"


def read_constants(model_dir: Path) -> Constants:
    """The constants of a model's answer; {} if it has none."""
    path = model_dir / EXTRAS / features.ANSWER_FILE
    constants: Constants = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return constants


def file_digests(model_dir: Path) -> dict[str, str]:
    """Returns file (relative, `/`) -> sha256 (hex) of every file except push.json."""
    return {name: sha256_of(path) for name, path in _files(model_dir) if name != RECORD_FILE.as_posix()}


def model_digest(digests: Mapping[str, str]) -> str:
    """Returns one sha256 (hex) for the model whose `file_digests` are given; equal for the same model."""
    listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()) if _counts(name))
    return hashlib.sha256(listing.encode()).hexdigest()


def write_sums(model_dir: Path, exported: Mapping[str, str] | None = None) -> None:
    """Writes SHA256SUMS over all other files of the folder; replaces an earlier one.

    Args:
        model_dir: SavedModel folder.
        exported: `file_digests` of the model that the folder is a copy of; the copy may have additional files.

    Raises:
        PipelineError: a file differs from the one that was exported.
    """
    digests = file_digests(model_dir)
    digests.pop(_SUMS, None)
    for name, digest in (exported or {}).items():
        if name != _SUMS and digests.get(name) != digest:
            raise PipelineError(
                f"{model_dir / name}: the copy differs from what the Trainer exported; run again"
            )
    (model_dir / SUMS_FILE).parent.mkdir(exist_ok=True)
    listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    (model_dir / SUMS_FILE).write_text(listing, encoding="utf-8")


def read_sums(model_dir: Path) -> dict[str, str]:
    """Returns file (relative, `/`) -> sha256 (hex) as exported; empty if SHA256SUMS is missing or unreadable."""
    try:
        lines = (model_dir / SUMS_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: digest for digest, separator, name in (line.partition("  ") for line in lines) if separator}


def require_exported(model_dir: Path) -> dict[str, str]:
    """Returns the `file_digests` of a model that is byte for byte what was exported.

    Raises:
        PipelineError: a file, or SHA256SUMS, was changed, removed or added since.
    """
    sums, digests = read_sums(model_dir), file_digests(model_dir)
    if SAVED_MODEL not in sums:
        raise PipelineError(
            f"{model_dir / SUMS_FILE}: has no digest of {SAVED_MODEL}, so the model cannot be compared with what the "
            "Trainer exported; run again to export it again"
        )
    for name in sorted((digests.keys() | sums.keys()) - {_SUMS}):
        if digests.get(name) != sums.get(name):
            what = "is gone" if name not in digests else "was added" if name not in sums else "sha256 differs"
            raise PipelineError(
                f"{model_dir / name}: not what the Trainer exported ({what}); run again to export it again"
            )
    return digests


def same_model(one: Path, other: Path) -> bool:
    """Whether two folders hold the same model; reads until the first difference.

    A folder that has no saved_model.pb or cannot be read equals no other.
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


@dataclass(frozen=True)
class FileFacts:
    """A file as it was pushed."""

    bytes: int
    mtime_ns: int
    sha256: str


def file_facts(model_dir: Path, digests: Mapping[str, str]) -> dict[str, FileFacts]:
    """Returns what `damage` compares with."""
    facts: dict[str, FileFacts] = {}
    for name, digest in digests.items():
        status = (model_dir / name).stat()
        facts[name] = FileFacts(status.st_size, status.st_mtime_ns, digest)
    return facts


def damage(version_dir: Path, files: Mapping[str, FileFacts], thorough: bool = False) -> str:
    """Returns how a folder differs from what was pushed; "" if it does not.

    Without files (a model that was copied there by hand) only saved_model.pb has to exist.

    Args:
        version_dir: folder of the version.
        files: as its push.json has them.
        thorough: read every file. Otherwise a file whose size and time are those of its push counts as
            unchanged, a check that costs microseconds instead of the time to read the weights.
    """
    if not (version_dir / SAVED_MODEL).is_file():
        return f"no {SAVED_MODEL}"
    for name, facts in files.items():
        try:
            problem = _file_damage(version_dir / name, facts, thorough)
        except OSError as error:
            problem = f"cannot be checked ({type(error).__name__}: {error})"
        if problem:
            return f"{name} {problem}"
    return ""


def _file_damage(path: Path, facts: FileFacts, thorough: bool) -> str:
    if not path.is_file():
        return "is gone"
    status = path.stat()
    if status.st_size != facts.bytes:
        return f"has {status.st_size} bytes, {facts.bytes} were pushed"
    unread = status.st_mtime_ns == facts.mtime_ns and not thorough
    return "" if unread or sha256_of(path) == facts.sha256 else "is not the file that was pushed"


def _content(model_dir: Path) -> dict[str, Path]:
    return {name: path for name, path in _files(model_dir) if _counts(name)}


def _files(model_dir: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(p for p in model_dir.rglob("*") if p.is_file()):
        yield path.relative_to(model_dir).as_posix(), path


def _counts(name: str) -> bool:
    return name != _RANDOM and not name.startswith(f"{EXTRAS}/")


def sha256_of(path: Path) -> str:
    """The digest of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
