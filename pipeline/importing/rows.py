"""What all readers share: the rows they give, what the user says about a file, and what they tell about it."""

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
    """The wanted columns of one record, and where it starts (from 1; in class folders: the file)."""

    number: int | str
    values: Sequence[Any]


@dataclass(frozen=True)
class ReadOptions:
    """How files are to be read; what is None is found out from the file."""

    delimiter: str | None = None  # between the columns of CSV and TSV, one character
    encoding: str | None = None  # a Python codec; None: UTF-8, or what a byte order mark says
    replace_undecodable: bool = False  # U+FFFD for bytes that cannot be decoded, instead of an error


@dataclass
class Sightings:
    """How often something was seen in the files, and the first places."""

    count: int = 0
    places: list[str] = field(default_factory=list)

    def add(self, place: str) -> None:
        """Counts one; keeps the first few places."""
        self.count += 1
        if len(self.places) < SAMPLES:
            self.places.append(place)

    def __str__(self) -> str:
        more = self.count - len(self.places)
        return ", ".join(self.places) + (f" and {more:,} more" if more else "")


@dataclass
class ReadNotes:
    """What a reader did that the user has to know; memory does not grow with the rows."""

    taken: list[str] = field(
        default_factory=list
    )  # one line a file: how it was read, where that was found out
    recoded: dict[str, Sightings] = field(default_factory=dict)  # encoding -> texts of class folders in it
    replaced: Sightings = field(default_factory=Sightings)  # lines or texts with U+FFFD for undecodable bytes
    links: Sightings = field(default_factory=Sightings)  # links inside a folder that were followed
    in_quotes: Sightings = field(
        default_factory=Sightings
    )  # fields of TSV, which has no quotes, that are in quotes
    not_read: Sightings = field(default_factory=Sightings)  # entries of a class folder that are no texts


def positions(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where the wanted columns stand among the names of a file's columns.

    Raises:
        UsageError: a column is not there.
        PipelineError: it is there twice.
    """
    for name in wanted:
        if names.count(name) > 1:
            raise PipelineError(f"{path}: column {name!r} is there {names.count(name)} times")
        if name not in names:
            raise no_column(path, name, names)
    return [names.index(name) for name in wanted]


def no_column(where: Path | str, name: str, names: Sequence[str]) -> UsageError:
    """The error for a column that the command line names and the file does not have."""
    listed = ", ".join(short(column) for column in names[:_LISTED]) or "none"
    listed += f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return UsageError(f"{where}: no column {name!r}; columns found: {listed}")


def short(value: Any, limit: int = 80) -> str:
    """The repr of a value, cut to fit a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
