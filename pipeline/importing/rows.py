"""What all readers share: rows, options and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import PipelineError, UsageError

MAX_FIELD_CHARACTERS = 16 * 1024 * 1024
SAMPLES = 5
_LISTED = 30


class Row(NamedTuple):
    """The requested columns of one record, and where it starts (line or row from 1; in class folders the file)."""

    number: int | str
    values: Sequence[Any]


@dataclass(frozen=True)
class ReadOptions:
    """How to read files; options that are None are detected."""

    delimiter: str | None = None  # between the columns of CSV and TSV, one character
    encoding: str | None = None  # a Python codec; None: UTF-8, or the encoding of the byte order mark
    replace_undecodable: bool = False  # U+FFFD for bytes that cannot be decoded, instead of an error


@dataclass
class Sightings:
    """How often something occurs in the files, and the first places where it does."""

    count: int = 0
    places: list[str] = field(default_factory=list)

    def add(self, place: str) -> None:
        """Counts one occurrence; keeps the first few places."""
        self.count += 1
        if len(self.places) < SAMPLES:
            self.places.append(place)

    def __str__(self) -> str:
        more = self.count - len(self.places)
        return ", ".join(self.places) + (f" and {more:,} more" if more else "")


@dataclass
class ReadNotes:
    """What the user should know about how files were read; memory does not grow with the number of rows."""

    decided: list[str] = field(default_factory=list)  # what was decided about the labels
    detected: list[str] = field(default_factory=list)  # one line per file with detected options
    recoded: dict[str, Sightings] = field(default_factory=dict)  # encoding -> texts of class folders with it
    replaced: Sightings = field(default_factory=Sightings)  # lines or texts with U+FFFD for undecodable bytes
    divided: Sightings = field(default_factory=Sightings)  # rows with words that the rule for words divides
    links: Sightings = field(default_factory=Sightings)  # links inside a folder that were followed
    in_quotes: Sightings = field(default_factory=Sightings)  # quoted fields of TSV, which has no quoting
    not_read: Sightings = field(default_factory=Sightings)  # skipped entries of class folders


def positions(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """The positions of the requested columns among the columns of a file.

    Raises:
        UsageError: a column is missing.
        PipelineError: a column exists more than once.
    """
    for name in wanted:
        if names.count(name) > 1:
            raise PipelineError(f"{path}: column {name!r} exists {names.count(name)} times")
        if name not in names:
            raise no_column(path, name, names)
    return [names.index(name) for name in wanted]


def no_column(where: Path | str, name: str, names: Sequence[str]) -> UsageError:
    """The error for a requested column that the file does not have."""
    listed = ", ".join(short(column) for column in names[:_LISTED]) or "none"
    listed += f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return UsageError(f"{where}: no column {name!r}; columns found: {listed}")


def short(value: Any, limit: int = 80) -> str:
    """The repr of a value, truncated for a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
