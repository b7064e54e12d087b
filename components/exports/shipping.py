"""Where exports go: `<serving_dir>/<name>.exports/<version>/<format>/`, beside the served versions.

No name of a model has a dot, so nothing that is served is ever called like that. Plain Python.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from components.model_files import file_digests
from components.pusher import versions
from components.pusher.staging import REMOVED_PREFIX, STAGING_PREFIX, writing

SUFFIX = ".exports"


def exports_home(version: Path) -> Path:
    """`serving/trec/3` -> `serving/trec.exports`."""
    return version.parent.with_name(version.parent.name + SUFFIX)


def ship(folder: Path, version: Path, format_name: str) -> Path:
    """Copies `folder` beside `version`, whole or not at all; returns where it is then.

    What an earlier run shipped for the same version and format is replaced, unless it is the same. Exports of
    versions that are no longer served are removed.

    Args:
      folder: the accepted variants and what goes with them.
      version: folder of the served version.
      format_name: such as "tflite".

    Raises:
      PipelineError: disk full, no permission; what was there before is untouched.
    """
    home = exports_home(version)
    target = home / version.name / format_name
    with writing(home):
        if not (target.is_dir() and file_digests(target) == file_digests(folder)):
            target.parent.mkdir(exist_ok=True)
            _replace(target, folder, home)
        _prune(home, version.parent)
    return target


def _replace(target: Path, folder: Path, home: Path) -> None:
    staged = home / f"{STAGING_PREFIX}{uuid.uuid4().hex}"
    aside = home / f"{REMOVED_PREFIX}{uuid.uuid4().hex}"
    shutil.copytree(folder, staged, copy_function=shutil.copyfile)
    if target.exists():
        os.rename(target, aside)
    os.rename(staged, target)
    if aside.exists():
        shutil.rmtree(aside)


def _prune(home: Path, served: Path) -> None:
    there = {str(version.number) for version in versions.versions(served.parent, served.name)}
    for path in home.iterdir():
        if path.name.isascii() and path.name.isdigit() and path.name not in there:
            shutil.rmtree(path)
