"""Streaming readers: one row at a time from CSV, TSV, JSON Lines, Parquet and class folders.

Every reader yields `Row(number, values)`: the line (text formats) or row (Parquet) it starts on and the
values of the wanted columns, in the order asked for. Memory does not grow with the number of rows.
Values are `str`, `int`, `bool` or `None`; nothing is cleaned here.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from components.errors import PipelineError, UsageError

MAX_FIELD_CHARACTERS = 16 * 1024 * 1024
FORMATS: dict[str, str] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSED = (".gz", ".bz2")
_FOLDER_COLUMNS = ("text", "label", "file")
# Arrow materializes a whole batch; texts of 1 MB each are allowed.
_PARQUET_BATCH_ROWS = 256
# Without it Arrow reads the whole column of a row group at once.
_PARQUET_BUFFER_BYTES = 1 << 20


class Row(NamedTuple):
    """The wanted columns of one record, and where it starts (from 1; in class folders: the file)."""

    number: int | str
    values: Sequence[Any]


def format_of(paths: Sequence[Path]) -> str:
    """The one format of all paths: csv, tsv, jsonl, parquet or folder.

    Raises:
        UsageError: no path, a path that does not exist, an unknown suffix, or mixed formats.
    """
    if not paths:
        raise UsageError("no file to import was given")
    formats = {path: _format(path) for path in paths}
    first = paths[0]
    for path, kind in formats.items():
        if kind != formats[first]:
            raise UsageError(
                f"{path} is {kind} but {first} is {formats[first]}: import one file type at a time"
            )
    return formats[first]


def _format(path: Path) -> str:
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    kind = FORMATS.get(suffixes[-1]) if suffixes else None
    if kind is None:
        raise UsageError(
            f"{path}: unknown file type; known are {', '.join(FORMATS)} (text formats also with "
            f"{' or '.join(_COMPRESSED)}) and a folder with one folder of .txt files per class"
        )
    return kind


def read_rows(path: Path, kind: str, columns: Sequence[str]) -> Iterator[Row]:
    """Yields the rows of one file or class folder.

    Args:
        path: the file, or the folder that holds one folder per class.
        kind: csv, tsv, jsonl, parquet, folder, or lines (a text file; the one column is "line").
        columns: the columns wanted, in the order of `Row.values`.

    Raises:
        PipelineError: bad content; the message names the file, the line and the value.
    """
    readers: dict[str, Callable[[Path, Sequence[str]], Iterator[Row]]] = {
        "csv": _read_csv,
        "tsv": _read_tsv,
        "jsonl": _read_json_lines,
        "parquet": _read_parquet,
        "folder": _read_folder,
        "lines": _read_lines,
    }
    try:
        yield from readers[kind](path, columns)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise PipelineError(f"{path}: the compressed file is damaged or cut off ({error})") from None
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror or error}") from None


# --- lines --------------------------------------------------------------------------------------


def _decoded_lines(path: Path) -> Iterator[str]:
    """Yields lines with their line ends, decoded strictly; a byte order mark is dropped."""
    with _open(path) as file:
        number = 0
        while line := file.readline(4 * MAX_FIELD_CHARACTERS):
            number += 1
            if len(line) == 4 * MAX_FIELD_CHARACTERS:
                raise PipelineError(f"{path} line {number}: longer than {len(line):,} bytes")
            yield _decode(line, path, number)


def _open(path: Path) -> IO[bytes]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return bz2.open(path, "rb") if suffix == ".bz2" else path.open("rb")


def _decode(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        bad = line[error.start : error.start + 4].hex(" ")
        context = line[max(0, error.start - 20) : error.start + 20].decode("utf-8", "replace")
        raise PipelineError(
            f"{path} line {number}: not UTF-8 at byte {error.start} ({bad}) near {context!r}; "
            f"convert the file first, for example with iconv"
        ) from None


def _read_lines(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    _positions(path, ["line"], columns)
    for number, line in enumerate(_decoded_lines(path), 1):
        if line := line.rstrip("\r\n"):
            yield Row(number, (line,))


def _positions(path: Path, found: Sequence[str], wanted: Sequence[str]) -> list[int]:
    for name in wanted:
        if found.count(name) > 1:
            raise PipelineError(f"{path}: column {name!r} is there {found.count(name)} times")
        if name not in found:
            listed = ", ".join(repr(column) for column in found) or "none"
            raise UsageError(f"{path}: no column {name!r}; columns found: {listed}")
    return [found.index(name) for name in wanted]


def _check_width(path: Path, number: int, row: Sequence[str], header: Sequence[str]) -> None:
    if len(row) != len(header):
        raise PipelineError(
            f"{path} line {number}: {len(row)} fields, the header has {len(header)}; "
            f"the line begins with {_short(row[0] if row else '')}"
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# --- CSV and TSV --------------------------------------------------------------------------------


class _RecordLines:
    """Feeds lines to csv.reader and keeps those of the current record, to say where it broke."""

    def __init__(self, path: Path) -> None:
        self._lines = _decoded_lines(path)
        self.record: list[str] = []
        self.consumed = 0
        self._characters = 0

    def __iter__(self) -> _RecordLines:
        return self

    def __next__(self) -> str:
        # csv.reader silently closes a quote that is open at the end of the file unless strict;
        # the bound keeps such a quote from pulling a whole large file into memory.
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
        """The line that the current record starts on, from 1."""
        return self.consumed - len(self.record) + 1


def _read_csv(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """RFC 4180: comma, double quotes, line breaks inside quotes, doubled quotes."""
    records = _csv_records(path)
    _, header = next(records, (0, []))
    if not header:
        raise PipelineError(f"{path}: empty, a CSV file starts with a line of column names")
    positions = _positions(path, header, columns)
    for number, row in records:
        if row:  # csv gives [] for a blank line
            _check_width(path, number, row, header)
            yield Row(number, [row[p] for p in positions])


def _csv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    lines = _RecordLines(path)
    reader = csv.reader(lines, strict=True)
    while True:
        lines.start_record()
        # The limit is global to the process: set for the one call only.
        limit = csv.field_size_limit(MAX_FIELD_CHARACTERS)
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _csv_error(path, lines, error) from None
        finally:
            csv.field_size_limit(limit)
        yield lines.first_line, row


def _csv_error(path: Path, lines: _RecordLines, error: csv.Error) -> PipelineError:
    opened = _open_quote(lines.record)
    if opened is None:
        return PipelineError(f"{path} line {lines.first_line}: not CSV: {error}")
    line = lines.first_line + opened
    return PipelineError(
        f"{path} line {line}: the quote opened here is not closed properly ({error}); "
        f"the line is {_short(lines.record[opened].rstrip())}; write a quote inside text as two quotes"
    )


def _open_quote(record: Sequence[str]) -> int | None:
    """Index of the line of a record on which the quote opened that broke it."""
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
                    if line[position + 1 : position + 2] not in (",", "\r", "\n", ""):
                        return opened
            elif not in_quotes and at_start and character == '"':
                in_quotes, opened = True, index
            at_start = not in_quotes and character == ","
            position += 1
    return opened if in_quotes else None


def _read_tsv(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Tab separated without quoting (IANA): a quote is a character, fields hold no tab or line break."""
    lines = _decoded_lines(path)
    header = next(lines, "").rstrip("\r\n").split("\t")
    if header == [""]:
        raise PipelineError(f"{path}: empty, a TSV file starts with a line of column names")
    positions = _positions(path, header, columns)
    for number, line in enumerate(lines, 2):
        if line := line.rstrip("\r\n"):
            row = line.split("\t")
            _check_width(path, number, row, header)
            yield Row(number, [row[p] for p in positions])


# --- JSON Lines ---------------------------------------------------------------------------------


def _read_json_lines(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(_decoded_lines(path), 1):
        if not line.strip():
            continue
        record = _json_object(path, number, line)
        for name in columns:
            if name not in record:
                listed = ", ".join(repr(key) for key in record) or "none"
                raise PipelineError(f"{path} line {number}: no column {name!r}; columns found: {listed}")
        yield Row(number, [record[name] for name in columns])


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = _why_not_json(error)
        raise PipelineError(f"{path} line {number}: not JSON ({reason}): {_short(line.strip())}") from None
    if not isinstance(record, dict):
        raise PipelineError(f"{path} line {number}: not a JSON object: {_short(record)}")
    return record


def _why_not_json(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, RecursionError):
        return "nested too deep"
    # The one other that json raises: Python converts no longer digits.
    return f"an integer of more than {sys.get_int_max_str_digits():,} digits"


# --- Parquet ------------------------------------------------------------------------------------


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    # Costs 0.2 s to import: only when there is Parquet to read.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=_PARQUET_BUFFER_BYTES, pre_buffer=False) as file:
            _positions(path, file.schema_arrow.names, columns)
            number = 0
            for batch in file.iter_batches(_PARQUET_BATCH_ROWS, columns=list(dict.fromkeys(columns))):
                for values in zip(*(_plain(path, batch, name, number) for name in columns), strict=True):
                    number += 1
                    yield Row(number, values)
    except pa.ArrowException as error:
        raise PipelineError(f"{path}: not a readable Parquet file: {' '.join(str(error).split())}") from None


def _plain(path: Path, batch: Any, name: str, before: int) -> list[Any]:
    values: list[Any] = batch.column(name).to_pylist()
    for offset, value in enumerate(values):
        if isinstance(value, bytes):
            values[offset] = _decode_value(path, before + offset + 1, name, value)
    return values


def _decode_value(path: Path, number: int, name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = value[error.start : error.start + 4].hex(" ")
        raise PipelineError(
            f"{path} row {number}: {name!r} is not UTF-8 at byte {error.start} ({bad}): {_short(value[:60])}"
        ) from None


# --- a folder of texts per class ----------------------------------------------------------------


def _read_folder(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """`<path>/<label>/*.txt`, one text a file; columns text, label and file (`<label>/<name>`)."""
    positions = _positions(path, _FOLDER_COLUMNS, columns)
    labels = sorted(entry.name for entry in os.scandir(path) if entry.is_dir() and entry.name[0] != ".")
    if not labels:
        raise UsageError(
            f"{path}: holds no folder; put the .txt files of each class into a folder of its name"
        )
    for label in labels:
        empty = True
        # Not sorted: a list of a million names is memory, and the split does not depend on order.
        for entry in os.scandir(path / label):
            if entry.name.endswith(".txt") and entry.is_file():
                empty = False
                row = (_text_of(Path(entry.path)), label, f"{label}/{entry.name}")
                yield Row(f"{label}/{entry.name}", [row[p] for p in positions])
        if empty:
            raise UsageError(f"{path / label}: holds no .txt file; one text per .txt file is expected")


def _text_of(path: Path) -> str:
    size = path.stat().st_size
    if size > 4 * MAX_FIELD_CHARACTERS:
        raise PipelineError(f"{path}: {size:,} bytes, longer than {4 * MAX_FIELD_CHARACTERS:,}")
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        bad = content[error.start : error.start + 4].hex(" ")
        raise PipelineError(f"{path} line {line}: not UTF-8 ({bad}); convert the file first") from None
