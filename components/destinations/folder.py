"""Copies a version in TF Serving's layout to any file system that TensorFlow supports (`gs://`, a mounted folder ...).

Object stores cannot rename folders, so a version cannot appear atomically. Single files do appear atomically.
So `saved_model.pb` is written last, under a temporary name, and renamed: a folder that has it is complete, and a
loader ignores a folder without it.
"""

from __future__ import annotations

import json
from pathlib import Path

import tensorflow as tf

from components.model_files import RECORD_FILE, SAVED_MODEL
from components.versions.record import PushRecord, read_record
from models.errors import PipelineError

_PART = f".part-{SAVED_MODEL}"


def push_to_folder(version: Path, folder: str, name: str, keep: int) -> str:
    """Copies a version to `<folder>/<name>/<number>` and keeps the newest `keep`; returns the address.

    A complete version is left unchanged; the remains of a push that was killed are replaced. Only versions
    with lower numbers are removed.

    Args:
        version: folder of a served version; its name is its number.
        folder: URL or absolute path.
        name: name of the served model.
        keep: number of versions to keep, including the new one.

    Raises:
        PipelineError: the store cannot be written, or it has another model under this number, or a higher
            number, which a server would load instead.
    """
    home = f"{folder.rstrip('/')}/{name}"
    target = f"{home}/{version.name}"
    try:
        if tf.io.gfile.exists(f"{target}/{SAVED_MODEL}"):
            _require_same(target, read_record(version))
        else:
            _refuse_below_others(home, int(version.name))
            _upload(version, target)
        _prune(home, int(version.name), keep)
    except (tf.errors.OpError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PipelineError(f"cannot be written ({type(error).__name__}: {reason})") from error
    return target


def _refuse_below_others(home: str, number: int) -> None:
    """Refuses a number below those in the store, which happens if the serving folder was recreated and starts at 1."""
    higher = [other for other in _numbers(home) if other > number and _is_complete(home, other)]
    if higher:
        raise PipelineError(
            f"{home} already has version {higher[-1]}, which a server would load instead of {number}; use "
            "another folder, or remove the higher versions (docs/model_life.md has another way)"
        )


def _require_same(target: str, record: PushRecord) -> None:
    try:
        with tf.io.gfile.GFile(f"{target}/{RECORD_FILE.as_posix()}") as file:
            present = json.loads(file.read())
    except (tf.errors.NotFoundError, ValueError):
        present = {}
    if present.get("model_sha256") != record.model_sha256:
        raise PipelineError(f"{target} already has another model; use another folder, or remove that model")


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
    """Keeps the version that was pushed and the newest `keep - 1` complete ones below it."""
    lower = [number for number in _numbers(home) if number < pushed]
    complete = [number for number in lower if _is_complete(home, number)]
    kept = complete[::-1][: keep - 1]
    for number in [number for number in lower if number not in kept]:
        if number in complete:  # first, so that no server loads a version that is half removed
            tf.io.gfile.remove(f"{home}/{number}/{SAVED_MODEL}")
        tf.io.gfile.rmtree(f"{home}/{number}")


def _numbers(home: str) -> list[int]:
    """Numbers of all versions in the store, lowest first."""
    if not tf.io.gfile.exists(home):
        return []
    # Object stores list folders with a trailing slash.
    names = (entry.rstrip("/") for entry in tf.io.gfile.listdir(home))
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _is_complete(home: str, number: int) -> bool:
    return bool(tf.io.gfile.exists(f"{home}/{number}/{SAVED_MODEL}"))
