"""Streaming readers: one row at a time from CSV, TSV, JSON Lines, Parquet, CoNLL columns and class folders.

Every reader yields `Row(number, values)`: the line (text formats) or row (Parquet) on which the row starts, and the
values of the requested columns, in the requested order. Memory does not grow with the number of rows.
Values have the types of the format (text; numbers, lists, dates ... of JSON and Parquet); nothing is cleaned here.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from models.errors import PipelineError, UsageError
from pipeline.importing.class_folders import read_folder
from pipeline.importing.conll import read_conll
from pipeline.importing.delimited import known_delimiter, read_csv, read_tsv
from pipeline.importing.json_lines import read_json_lines
from pipeline.importing.parquet_files import read_parquet
from pipeline.importing.rows import ReadNotes, ReadOptions, Row, positions
from pipeline.importing.text_files import COMPRESSED, decoded_lines, known_encoding

FORMATS: dict[str, str] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".conll": "conll",
    ".iob": "conll",
    ".bio": "conll",
}
CONLL = "conll"


def format_of(paths: Sequence[Path], of_words: bool = False) -> str:
    """The one format of all paths: csv, tsv, jsonl, parquet, conll or folder; `of_words`: whether .txt is CONLL.

    Raises:
        UsageError: there is no path, a path does not exist or has an unknown suffix, or formats are mixed.
    """
    if not paths:
        raise UsageError("there is no file to import")
    formats = {path: _format(path, of_words) for path in paths}
    first = paths[0]
    for path, kind in formats.items():
        if kind != formats[first]:
            raise UsageError(
                f"{path} is {kind}, but {first} is {formats[first]}: import one file type at a time"
            )
    return formats[first]


def _format(path: Path, of_words: bool) -> str:
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    kind = FORMATS.get(suffixes[-1]) if suffixes else None
    if of_words and suffixes[-1:] == [".txt"]:
        kind = CONLL
    if kind is None:
        raise UsageError(
            f"{path}: unknown file type; supported are {', '.join(FORMATS)} (text formats also with "
            f"{' or '.join(COMPRESSED)}) and folders with one folder of .txt files per class"
            + ("; .txt files of words and tags need --task token_labels" if suffixes[-1:] == [".txt"] else "")
        )
    return kind


def check_options(kind: str, options: ReadOptions) -> ReadOptions:
    """Checks the options and returns them with normalized values.

    Raises:
        UsageError: the encoding is unknown, the delimiter is invalid, or the format has no delimiter.
    """
    if options.delimiter is not None and kind not in ("csv", "tsv"):
        raise UsageError(f"--delimiter is for CSV and TSV; {kind} has no delimiter")
    return ReadOptions(
        known_delimiter(options.delimiter) if options.delimiter is not None else None,
        known_encoding(options.encoding) if options.encoding is not None else None,
        options.replace_undecodable,
    )


def read_rows(
    path: Path,
    kind: str,
    columns: Sequence[str],
    options: ReadOptions | None = None,
    notes: ReadNotes | None = None,
) -> Iterator[Row]:
    """Yields the rows of one file or class folder.

    Args:
        path: the file, or the folder with one folder per class.
        kind: csv, tsv, jsonl, parquet, conll, folder, or lines (a text file with the single column "line").
        columns: the columns to read, in the order of `Row.values`.
        options: from `check_options`; None: all options are detected.
        notes: receives what the user should know about the files.

    Raises:
        UsageError: the file lacks one of the columns.
        PipelineError: the content is invalid; the message names the file, the line and the value.
    """
    readers: dict[str, Callable[[Path, Sequence[str], ReadOptions, ReadNotes], Iterator[Row]]] = {
        "csv": read_csv,
        "tsv": read_tsv,
        "jsonl": read_json_lines,
        "parquet": read_parquet,
        CONLL: read_conll,
        "folder": read_folder,
        "lines": _read_lines,
    }
    try:
        yield from readers[kind](path, columns, options or ReadOptions(), notes or ReadNotes())
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise PipelineError(f"{path}: the compressed file is damaged or truncated ({error})") from None
    except OSError as error:
        raise PipelineError(f"{error.filename or path}: cannot be read: {error.strerror or error}") from None


def _read_lines(path: Path, columns: Sequence[str], options: ReadOptions, notes: ReadNotes) -> Iterator[Row]:
    positions(path, ["line"], columns)
    for number, line in enumerate(decoded_lines(path, options, notes), 1):
        if line := line.rstrip("\r\n"):
            yield Row(number, (line,))
