"""Ships exports to `<serving_dir>/<name>.exports/<version>/<format>/`, next to the served versions.

Model names have no dots, so no served model can have such a name. Plain Python.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from components.versions import store
from components.versions.staging import REMOVED_PREFIX, STAGING_PREFIX, copy_files, remove_version, writing

SUFFIX = ".exports"


def exports_home(version: Path) -> Path:
    """`serving/trec/3` -> `serving/trec.exports`."""
    return version.parent.with_name(version.parent.name + SUFFIX)


def destination(version: Path, format_name: str) -> Path:
    """`serving/trec/3`, "onnx" -> `serving/trec.exports/3/onnx`."""
    return exports_home(version) / version.name / format_name


def ship(folder: Path, version: Path, format_name: str) -> None:
    """Copies `folder` to the destination, atomically.

    An earlier export of the same version and format is replaced; a process killed in the middle may leave
    neither, in which case the next run exports again (`lost_exports`). Exports of versions that are no longer
    served are removed.

    Args:
        folder: the accepted variants and the files shipped with them.
        version: folder of the served version.
        format_name: such as "tflite".

    Raises:
        PipelineError: the disk is full, or a permission is missing; the previous export is unchanged.
    """
    home = exports_home(version)
    with writing(home, "exported"):
        _replace(destination(version, format_name), folder, home)
        _prune(home, version.parent)


def _replace(target: Path, folder: Path, home: Path) -> None:
    staged = home / f"{STAGING_PREFIX}{uuid.uuid4().hex}"
    aside = home / f"{REMOVED_PREFIX}{uuid.uuid4().hex}"
    try:
        names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        copy_files(folder, staged, names)
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            os.rename(target, aside)
        os.rename(staged, target)
    finally:
        if staged.exists():  # a partial copy would keep a full disk full
            shutil.rmtree(staged)
    if aside.exists():
        shutil.rmtree(aside)


def _prune(home: Path, served: Path) -> None:
    served_numbers = {str(version.number) for version in store.versions(served.parent, served.name)}
    for path in home.iterdir():
        if path.name.isascii() and path.name.isdigit() and path.name not in served_numbers:
            remove_version(path)
