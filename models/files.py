"""Reads the files of a checkpoint's folder with type checks and without leaving the folder.

All parsing goes through `read_json` and `typed`, so that any malformed file gives a one-line error that names the
file and the key. Imports no TensorFlow.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import CheckpointError
from models.strict_json import unique_keys

_SHOWN_CHARACTERS = 300
_quote = reprlib.Repr()
_quote.maxstring = _quote.maxother = 120


class FromFile(BaseModel):
    """Part of a JSON file: types are exact (a string is not a number), and other keys are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


T = TypeVar("T", bound=FromFile)


def checkpoint_file(folder: Path, name: str) -> Path:
    """The path of the named file in the folder, which need not exist.

    Raises:
        CheckpointError: the name, or a link of that name, leads out of the folder.
    """
    relative = PurePath(name)
    path = folder / name
    if relative.is_absolute() or ".." in relative.parts:
        raise CheckpointError(
            f"{folder}: {shown(name)} leads out of the checkpoint's folder; nothing there is read"
        )
    if not name.isprintable():  # the name is part of every message about the file
        raise CheckpointError(
            f"{folder}: {shown(name)} is not allowed as the name of a checkpoint's file; rename it"
        )
    try:
        target = Path(os.path.realpath(path))
        path.is_file()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: {shown(name)} is not a file name: {one_line(error)}") from error
    if not any(target.is_relative_to(root) for root in _roots(folder)):
        raise CheckpointError(
            f"{path}: a link that leads out of the checkpoint's folder, to {one_line(target)}; copy that file into the folder"
        )
    return path


def check_links(folder: Path) -> None:
    """Refuses a folder that contains, at any depth, a link out of it, which readers of the folder would follow.

    Raises:
        CheckpointError: there is such a link; the message names it.
    """
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(parent, name)
            if path.is_symlink():
                checkpoint_file(folder, str(path.relative_to(folder)))


def _roots(folder: Path) -> list[Path]:
    """The folder itself; for a snapshot in the hub's cache also the blobs of its repository, which it links to."""
    real = Path(os.path.realpath(folder))
    repositories = (p.parent for p in real.parents if p.name == "snapshots")
    return [real, *(r / "blobs" for r in repositories if r.name.startswith("models--"))]


def read_text(path: Path) -> str:
    """Reads a text; raises CheckpointError if the file is missing or is not UTF-8. Line ends are not changed."""
    if not path.is_file():  # reading from a pipe would block
        raise CheckpointError(f"{path.parent}: {path.name} is missing; a checkpoint folder must have it")
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{path}: not UTF-8 at byte {error.start}; fetch the checkpoint again"
        ) from error


def read_json(path: Path, parse_float: Callable[[str], float] = float) -> dict[str, Any]:
    """Reads a JSON object; raises CheckpointError if the file is missing or is something else."""
    return parse_json(path, read_text(path), parse_float)


def parse_json(path: Path, text: str, parse_float: Callable[[str], float] = float) -> dict[str, Any]:
    """Parses a JSON object; `path` is for the error message. `parse_float`: of numbers that are not integers."""
    try:
        value = json.loads(text, object_pairs_hook=unique_keys, parse_float=parse_float)
    except RecursionError as error:
        raise CheckpointError(f"{path}: not readable as JSON: nested too deeply") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: not readable as JSON: {one_line(error)}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def typed(kind: type[T], path: Path, value: Mapping[str, Any], where: str = "") -> T:
    """Validates `value`, read from the file at `path` (under the key `where`), as a `kind`.

    Raises:
        CheckpointError: a key is missing or has another type; the message names file, key and value.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = one_line(".".join(str(part) for part in [*([where] if where else []), *first["loc"]]))
        if first["type"] == "missing":
            raise CheckpointError(f"{path}: {key} is missing") from error
        wrong = first["msg"].removeprefix("Value error, ").replace("Input should", "it should", 1)
        quoted = f"{key} is {shown(first['input'])}; " if key else ""
        raise CheckpointError(f"{path}: {quoted}{wrong}") from error


def shown(value: object) -> str:
    """A value from a file, quoted for a message: one short line, however long or deeply nested it is."""
    return one_line(_quote.repr(value))


def one_line(text: object) -> str:
    """`text` on one line, shortened if it is very long; control and invisible characters are escaped."""
    words = " ".join(str(text).split())[:_SHOWN_CHARACTERS]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
