"""Records the digests of an artifact's files when its node has written them, and checks them later. Plain Python.

The manifest of the artifact `Trainer/model/7` is `Trainer/.system/manifests/model-7.json`:

    {"files": {"Format-Serving/saved_model.pb": {"sha256": "9f86d0...", "stamp": [bytes, mtime_ns, ctime_ns, inode]}}}

A file whose stamp is unchanged counts as unchanged, a check that costs microseconds; the stamp includes the change
time because no write leaves it as it was. Otherwise the digest decides, so a copied or restored file is valid.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from components.model_files import sha256_of

_FOLDER = Path(".system", "manifests")  # TFX keeps files that are not outputs in `.system`


class Stamp(NamedTuple):
    """What `stat` says of a file."""

    bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True)
class Mark:
    """A file as its node had written it."""

    sha256: str
    stamp: Stamp


def manifest_path(artifact: Path) -> Path:
    """`Trainer/model/7 -> Trainer/.system/manifests/model-7.json`."""
    output = artifact.parent
    return output.parent / _FOLDER / f"{output.name}-{artifact.name}.json"


def record(artifact: Path) -> None:
    """Writes the manifest of an artifact (a folder or a single file); replaces an earlier one atomically.

    Raises:
        OSError: a file cannot be read, or the manifest not written.
    """
    _write(artifact, {name: _mark(path) for name, path in _files(artifact)})


def damage(artifact: Path, thorough: bool = False) -> str:
    """Returns the first difference from the manifest, "" if there is none: `model/7/vocab.txt is gone`.

    Added files count as well, because a node that lists the folder would read them.

    Args:
        artifact: the folder or file.
        thorough: read every file, not only those whose stamp differs.
    """
    if not artifact.exists():
        return f"{artifact} is gone"
    manifest = manifest_path(artifact)
    try:
        recorded = _read(manifest)
    except FileNotFoundError:
        return f"{artifact} has no record of its digests"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{manifest} is damaged ({type(error).__name__})"
    try:
        return _difference(artifact, recorded, thorough)
    except OSError as error:
        return f"{error.filename or artifact} cannot be read ({error.strerror})"


def content_sha256(artifact: Path) -> str:
    """One digest (hex) of names and contents, equal for every copy; empty files are left out.

    Copies to and from object stores drop empty files.
    """
    listing = (f"{sha256_of(path)}  {name}\n" for name, path in _files(artifact) if path.stat().st_size)
    return hashlib.sha256("".join(listing).encode()).hexdigest()


def _difference(artifact: Path, recorded: dict[str, Mark], thorough: bool) -> str:
    present = dict(_files(artifact))
    for name in sorted(recorded.keys() - present.keys()):
        return f"{artifact / name} is gone"
    for name in sorted(present.keys() - recorded.keys()):
        return f"{present[name]} is damaged (it was not there before)"
    restamped = False
    for name, path in present.items():
        mark = recorded[name]
        stamp = _stamp(path)
        if thorough or stamp != mark.stamp:
            if stamp.bytes != mark.stamp.bytes:
                return f"{path} is damaged ({stamp.bytes} bytes, {mark.stamp.bytes} were written)"
            if sha256_of(path) != mark.sha256:
                return f"{path} is damaged (sha256 differs)"
            restamped |= stamp != mark.stamp
            recorded[name] = replace(mark, stamp=stamp)
    if restamped:  # so that next time comparing the stamps is enough
        _write(artifact, recorded)
    return ""


def _files(artifact: Path) -> Iterator[tuple[str, Path]]:
    """Name inside the artifact ("" if the artifact is a file) and path, sorted."""
    if not artifact.is_dir():
        if artifact.exists():
            yield "", artifact
        return
    for folder, _, names in sorted(os.walk(artifact)):
        for name in sorted(names):
            path = Path(folder, name)
            yield path.relative_to(artifact).as_posix(), path


def _mark(path: Path) -> Mark:
    stamp = _stamp(path)  # before reading: if the file changes meanwhile, it does not match its stamp
    return Mark(sha256_of(path), stamp)


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _read(manifest: Path) -> dict[str, Mark]:
    files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    return {name: Mark(mark["sha256"], Stamp(*mark["stamp"])) for name, mark in files.items()}


def _write(artifact: Path, marks: Mapping[str, Mark]) -> None:
    path = manifest_path(artifact)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    files = {name: {"sha256": mark.sha256, "stamp": mark.stamp} for name, mark in marks.items()}
    aside.write_text(json.dumps({"files": files}, indent=1) + "\n", encoding="utf-8")
    os.replace(aside, path)
