"""The label list, which is shipped with the model."""

from __future__ import annotations

from pathlib import Path

from models.errors import UsageError


def read_labels(path: Path) -> list[str]:
    r"""Reads a label list, one label per line; the line number, starting at 0, is the label id.

    `"ABBR\nDESC\n" -> ["ABBR", "DESC"]`

    Raises:
        UsageError: the file is missing or not UTF-8, or has an empty line or a repeated label.
    """
    try:
        # Not in text mode, because the graph's lookup table reads the same bytes and keeps carriage returns.
        lines = path.read_bytes().decode("utf-8").split("\n")
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such label list; set data.label_list to a file with one label per line"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the label list cannot be read: {error}") from None
    if lines and not lines[-1]:
        lines.pop()
    for number, label in enumerate(lines, start=1):
        if label.endswith("\r"):
            raise UsageError(f"{path}:{number}: ends in a carriage return; save the file with Unix line ends")
        if not label.strip():
            raise UsageError(f"{path}:{number}: an empty line; a label list has one label per line")
        first = lines.index(label) + 1
        if first != number:
            raise UsageError(f"{path}:{number}: the label {label!r} is already on line {first}; remove one")
    return lines
