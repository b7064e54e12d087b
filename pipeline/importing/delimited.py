"""Reads CSV and TSV, with a comma, a tab or another detected separator."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from models.errors import PipelineError, UsageError
from pipeline.importing.rows import (
    MAX_FIELD_CHARACTERS,
    ReadNotes,
    ReadOptions,
    Row,
    no_column,
    positions,
    short,
)
from pipeline.importing.text_files import decoded_lines

_DELIMITERS = (",", ";", "\t", "|")
# A first line that Excel writes, with or without quotes; it cannot be a line of column names.
_SEP_LINE = re.compile(r'"?sep=([^"\r\n])"?\s*', re.IGNORECASE)


def known_delimiter(text: str) -> str:
    r"""The character for a value of `--delimiter`: `";"` -> `";"`, `"tab"` and `"\\t"` -> `"\t"`.

    Raises:
        UsageError: it is not one character, or a character that cannot separate columns.
    """
    delimiter = {"tab": "\t", "\\t": "\t"}.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter in '"\r\n\0\ufeff':
        raise UsageError(f"--delimiter must be one character or `tab`, not a quote or line end, got {text!r}")
    return delimiter


def read_csv(path: Path, columns: Sequence[str], options: ReadOptions, notes: ReadNotes) -> Iterator[Row]:
    """Reads CSV by RFC 4180: comma, double quotes, line breaks inside quotes, doubled quotes."""
    return _read(path, columns, ",", options, notes)


def read_tsv(path: Path, columns: Sequence[str], options: ReadOptions, notes: ReadNotes) -> Iterator[Row]:
    """Reads TSV by IANA's definition: no quoting, so quotes are text, and fields contain no tabs or line breaks."""
    return _read(path, columns, "\t", options, notes)


def _read(
    path: Path, columns: Sequence[str], usual: str, options: ReadOptions, notes: ReadNotes
) -> Iterator[Row]:
    lines = decoded_lines(path, options, notes)
    skipped, head, declared = _head(lines)
    if not head:
        raise PipelineError(f"{path}: empty; a {_NAMES[usual]} file must start with a line of column names")
    delimiter = options.delimiter or declared or _delimiter(head, columns, usual)
    if delimiter != usual and options.delimiter is None:
        notes.detected.append(f"{path}: read with {delimiter!r} as the column separator")
    rest = chain([head], lines)
    plain = usual == delimiter == "\t"
    records = _plain_records(rest, skipped) if plain else _quoted_records(path, rest, skipped, delimiter)
    _, header = next(records)
    if len(header) == 1 and header[0] not in columns:
        raise UsageError(f"{no_column(path, columns[0], header)}; does the file need another --delimiter?")
    wanted = positions(path, header, columns)
    for number, row in records:
        if len(row) != len(header):
            raise _other_width(path, number, row, header, delimiter)
        values = [row[position] for position in wanted]
        if plain and any(value[:1] == '"' == value[-1:] for value in values):
            notes.in_quotes.add(f"{path} line {number}")
        yield Row(number, values)


_NAMES = {",": "CSV", "\t": "TSV"}


def _head(lines: Iterator[str]) -> tuple[int, str, str | None]:
    """The number of lines before the column names, the line of column names, and the separator of a line `sep=;`."""
    skipped, declared = 0, None
    for line in lines:
        match = _SEP_LINE.fullmatch(line)
        if match:
            declared = match[1]
        elif line.strip():
            return skipped, line, declared
        skipped += 1
    return skipped, "", declared


def _delimiter(head: str, columns: Sequence[str], usual: str) -> str:
    """The separator with which the line of column names contains the requested columns; the usual one in doubt.

    `("text;stars\\n", ["text", "stars"], ",")` -> `";"`
    """
    names = {d: _names(head, d, usual) for d in (usual, *_DELIMITERS)}
    matches = {d: sum(column in names[d] for column in columns) for d in names}
    # The more names there are, the more helpful is the error about a missing one. max() returns the first maximum.
    return max(names, key=lambda d: (matches[d], d == usual and len(names[d]) > 1, len(names[d])))


def _names(head: str, delimiter: str, usual: str) -> list[str]:
    if delimiter == usual == "\t":
        return head.rstrip("\r\n").split("\t")
    try:
        return next(
            csv.reader([head], delimiter=delimiter), []
        )  # not strict: a name may continue on the next line
    except csv.Error:
        return []


def _other_width(
    path: Path, number: int, row: Sequence[str], header: Sequence[str], delimiter: str
) -> PipelineError:
    hint = ""
    if len(row) > len(header):
        hint = f"; a text that contains {delimiter!r} must be in double quotes"
        if delimiter == "\t":
            hint = "; a text must not contain tabs"
    return PipelineError(
        f"{path} line {number}: {len(row)} fields, but the header has {len(header)}; "
        f"the line begins with {short(row[0] if row else '')}{hint}"
    )


def _plain_records(lines: Iterator[str], skipped: int) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, skipped + 1):
        if line := line.rstrip("\r\n"):
            yield number, line.split("\t")


# --- with quotes --------------------------------------------------------------------------------


class _RecordLines:
    """Feeds lines to csv.reader and keeps those of the current record, for error messages."""

    def __init__(self, lines: Iterator[str], skipped: int) -> None:
        self._lines = lines
        self.record: list[str] = []
        self.consumed = skipped
        self._characters = 0

    def __iter__(self) -> _RecordLines:
        return self

    def __next__(self) -> str:
        # Unless strict, csv.reader silently closes a quote that is open at the end of the file;
        # the limit prevents such a quote from reading a large file into memory as a whole.
        if self._characters > MAX_FIELD_CHARACTERS:
            raise csv.Error("a quote is not closed")
        line = next(self._lines)
        self.consumed += 1
        self.record.append(line)
        self._characters += len(line)
        return line

    def start_record(self) -> None:
        self.record.clear()
        self._characters = 0

    @property
    def first_line(self) -> int:
        """The number of the line on which the current record starts, counted from 1."""
        return self.consumed - len(self.record) + 1


def _quoted_records(
    path: Path, source: Iterator[str], skipped: int, delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    lines = _RecordLines(source, skipped)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.start_record()
        # The limit is global to the process, so it is set for this one call only.
        limit = csv.field_size_limit(MAX_FIELD_CHARACTERS)
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _csv_error(path, lines, delimiter, error) from None
        finally:
            csv.field_size_limit(limit)
        if row:  # csv returns [] for a blank line
            yield lines.first_line, row


def _csv_error(path: Path, lines: _RecordLines, delimiter: str, error: csv.Error) -> PipelineError:
    opened = _open_quote(lines.record, delimiter)
    if opened is None:
        reason = "a line ends with only a carriage return" if "new-line character" in str(error) else error
        return PipelineError(f"{path} line {lines.first_line}: not CSV: {reason}; save the file as CSV UTF-8")
    line = lines.first_line + opened
    return PipelineError(
        f"{path} line {line}: the quote opened here is not closed properly ({error}); "
        f"the line is {short(lines.record[opened].rstrip())}; write a quote inside text as two quotes"
    )


def _open_quote(record: Sequence[str], delimiter: str) -> int | None:
    """Index of the line of a record on which the offending quote was opened."""
    in_quotes, at_start, opened = False, True, None
    for index, line in enumerate(record):
        position = 0
        while position < len(line):
            character = line[position]
            if in_quotes and character == '"':
                if line[position + 1 : position + 2] == '"':
                    position += 1
                else:
                    in_quotes = False
                    if line[position + 1 : position + 2] not in (delimiter, "\r", "\n", ""):
                        return opened
            elif not in_quotes and at_start and character == '"':
                in_quotes, opened = True, index
            at_start = not in_quotes and character == delimiter
            position += 1
    return opened if in_quotes else None
