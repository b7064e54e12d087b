"""The files of a checkpoint's folder: found without leaving it, and read as what they should hold.

Everything that is parsed goes through `read_json` and `typed`, so that a malformed file ends in one line
that names the file and the key, whatever is in it. No TensorFlow here.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import CheckpointError
from models.strict_json import unique_keys

_SHOWN_CHARACTERS = 300
_quote = reprlib.Repr()
_quote.maxstring = _quote.maxother = 120


class FromFile(BaseModel):
    """Part of a JSON file: types are exact (no text for a number), what is not named is not read."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


T = TypeVar("T", bound=FromFile)


def checkpoint_file(folder: Path, name: str) -> Path:
    """The file of that name in the folder, or one that is not there.

    Raises:
        CheckpointError: the name, or a link of that name, leads out of the folder.
    """
    relative = PurePath(name)
    path = folder / name
    if relative.is_absolute() or ".." in relative.parts:
        raise CheckpointError(
            f"{folder}: {shown(name)} leads out of the checkpoint's folder; nothing there is read"
        )
    if not name.isprintable():  # it would be in every message about the file
        raise CheckpointError(
            f"{folder}: {shown(name)} is no name that a checkpoint's file may have; rename it"
        )
    try:
        target = Path(os.path.realpath(path))
        path.is_file()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: {shown(name)} is no file name: {one_line(error)}") from error
    if not any(target.is_relative_to(root) for root in _roots(folder)):
        raise CheckpointError(
            f"{path}: a link that leads out of the checkpoint's folder, to {one_line(target)}; copy that file into the folder"
        )
    return path


def check_links(folder: Path) -> None:
    """Refuses a folder with a link, at any depth, to something outside it: whoever reads the folder would follow it.

    Raises:
        CheckpointError: there is one; the message names it.
    """
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(parent, name)
            if path.is_symlink():
                checkpoint_file(folder, str(path.relative_to(folder)))


def _roots(folder: Path) -> list[Path]:
    """The folder itself; a snapshot in the hub's cache consists of links to the blobs of its own repository."""
    real = Path(os.path.realpath(folder))
    repositories = (p.parent for p in real.parents if p.name == "snapshots")
    return [real, *(r / "blobs" for r in repositories if r.name.startswith("models--"))]


def read_text(path: Path) -> str:
    """Raises CheckpointError when the file is missing or is not UTF-8. Line ends stay as they are."""
    if not path.is_file():  # a pipe of that name would be waited for
        raise CheckpointError(f"{path.parent}: {path.name} is missing; a checkpoint folder needs it")
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{path}: not UTF-8 at byte {error.start}; fetch the checkpoint again"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Raises CheckpointError when the file is missing or holds no JSON object."""
    return parse_json(path, read_text(path))


def parse_json(path: Path, text: str) -> dict[str, Any]:
    """`path` is what the error message names."""
    try:
        value = json.loads(text, object_pairs_hook=unique_keys)
    except RecursionError as error:
        raise CheckpointError(f"{path}: not readable as JSON: nested too deeply") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: not readable as JSON: {one_line(error)}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def typed(kind: type[T], path: Path, value: Mapping[str, Any], where: str = "") -> T:
    """`value`, parsed from the file at `path` (under the key `where`), as a `kind`.

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
    """A value of a file as a message quotes it: one line, short however long or deep it is."""
    return one_line(_quote.repr(value))


def one_line(text: object) -> str:
    """`text` in one line, cut where it is very long; what a terminal would obey or not show is escaped."""
    words = " ".join(str(text).split())[:_SHOWN_CHARACTERS]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
