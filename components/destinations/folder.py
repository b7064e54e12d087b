"""A version in TF Serving's layout on any file system that TensorFlow has (`gs://`, a mounted folder ...).

Object stores rename no folders, so a version cannot appear in one step there. What they do is to show a file
whole or not at all. So `saved_model.pb` comes last, under another name first, and is renamed: a folder that has it is
complete, and a loader that finds none of it has nothing to load.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.model_files import RECORD_FILE, SAVED_MODEL
from components.versions.store import read_info
from models.errors import PipelineError

_PART = f".part-{SAVED_MODEL}"


def push_to_folder(version: Path, folder: str, name: str, keep: int) -> str:
    """Copies a version to `<folder>/<name>/<number>`, keeps the newest `keep` there; returns the address.

    A version that is complete there is left as it is; the rest of a push that was killed is replaced. Only
    versions below this one are removed.

    Args:
        version: folder of a served version; its name is its number.
        folder: URL or absolute path.
        name: name of the served model.
        keep: versions kept, the new one included.

    Raises:
        PipelineError: the store cannot be written, or holds another model under this number, or a higher
            number, which a server there would take instead.
    """
    home = f"{folder.rstrip('/')}/{name}"
    target = f"{home}/{version.name}"
    try:
        if tf.io.gfile.exists(f"{target}/{SAVED_MODEL}"):
            _require_same(target, read_info(version))
        else:
            _refuse_below_others(home, int(version.name))
            _upload(version, target)
        _prune(home, int(version.name), keep)
    except (tf.errors.OpError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PipelineError(f"cannot be written ({type(error).__name__}: {reason})") from error
    return target


def _refuse_below_others(home: str, number: int) -> None:
    """The numbers of a serving folder that was made anew start at 1 again; those of the store do not."""
    higher = [other for other in _numbers(home) if other > number and _is_complete(home, other)]
    if higher:
        raise PipelineError(
            f"{home} holds version {higher[-1]} already, which a server there takes instead of {number}: name "
            "another folder, or remove the higher versions there (docs/model_life.md has another way)"
        )


def _require_same(target: str, record: dict[str, Any]) -> None:
    try:
        with tf.io.gfile.GFile(f"{target}/{RECORD_FILE.as_posix()}") as file:
            there = json.loads(file.read())
    except (tf.errors.NotFoundError, ValueError):
        there = {}
    if there.get("model_sha256") != record.get("model_sha256"):
        raise PipelineError(
            f"{target} holds another model already; name another folder, or remove what is there"
        )


def _upload(version: Path, target: str) -> None:
    if tf.io.gfile.exists(target):
        tf.io.gfile.rmtree(target)
    names = sorted(p.relative_to(version).as_posix() for p in version.rglob("*") if p.is_file())
    for name in [n for n in names if n != SAVED_MODEL]:
        _copy(version / name, f"{target}/{name}")
    _copy(version / SAVED_MODEL, f"{target}/{_PART}")
    tf.io.gfile.rename(f"{target}/{_PART}", f"{target}/{SAVED_MODEL}")


def _copy(source: Path, target: str) -> None:
    tf.io.gfile.makedirs(target.rpartition("/")[0])
    tf.io.gfile.copy(str(source), target, overwrite=True)
    size = tf.io.gfile.stat(target).length
    if size != source.stat().st_size:
        raise PipelineError(f"{target} has {size} bytes after the copy, {source.stat().st_size} were sent")


def _prune(home: str, pushed: int, keep: int) -> None:
    """Leaves the version that was pushed and the newest `keep - 1` complete ones below it."""
    lower = [number for number in _numbers(home) if number < pushed]
    complete = [number for number in lower if _is_complete(home, number)]
    kept = complete[::-1][: keep - 1]
    for number in [number for number in lower if number not in kept]:
        if number in complete:  # first, so that nothing loads what is half removed
            tf.io.gfile.remove(f"{home}/{number}/{SAVED_MODEL}")
        tf.io.gfile.rmtree(f"{home}/{number}")


def _numbers(home: str) -> list[int]:
    """Of all versions in the store, lowest first."""
    if not tf.io.gfile.exists(home):
        return []
    # Object stores list folders with a slash at the end.
    names = (entry.rstrip("/") for entry in tf.io.gfile.listdir(home))
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _is_complete(home: str, number: int) -> bool:
    return bool(tf.io.gfile.exists(f"{home}/{number}/{SAVED_MODEL}"))
