"""Reads Parquet, a few hundred rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from models.errors import PipelineError
from pipeline.importing.rows import ReadNotes, ReadOptions, Row, positions, short

# Small, because Arrow materializes a whole batch, and texts may have 1 MB each.
_BATCH_ROWS = 256
# Without a buffer, Arrow reads the whole column of a row group at once. With one, Arrow 18 fails with "Cannot shrink
# read buffer" if the rest of a column is up to 16 KiB longer than the buffer; then the next size is tried.
_BUFFER_SIZES = (1 << 20, 3 << 20, 0)
_BUFFER_ERROR = "shrink read buffer"


def read_parquet(path: Path, columns: Sequence[str], options: ReadOptions, notes: ReadNotes) -> Iterator[Row]:
    """Yields the values of the columns as Python objects; bytes are decoded."""
    number = 0
    for batch in _batches(path, columns):
        plain = [_plain(path, batch, name, number, options, notes) for name in columns]
        for values in zip(*plain, strict=True):
            number += 1
            yield Row(number, values)


def _batches(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    # Imported here, because the import takes 0.2 s.
    import pyarrow as pa

    done = 0
    for size in _BUFFER_SIZES:
        try:
            for batch in islice(_buffered(path, columns, size), done, None):
                done += 1
                yield batch
            return
        except (pa.ArrowException, OSError) as error:
            if getattr(error, "errno", None) is not None:  # an error of the file system, not of the content
                raise
            if size == 0 or _BUFFER_ERROR not in str(error):
                message = " ".join(str(error).split())
                raise PipelineError(f"{path}: not a readable Parquet file: {message}") from None


def _buffered(path: Path, columns: Sequence[str], buffer_size: int) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, buffer_size=buffer_size, pre_buffer=False) as file:
        positions(path, file.schema_arrow.names, columns)
        # Without threads: an error in one column frees memory that the thread of another one still reads (SIGSEGV).
        yield from file.iter_batches(_BATCH_ROWS, columns=list(dict.fromkeys(columns)), use_threads=False)


def _plain(
    path: Path, batch: Any, name: str, before: int, options: ReadOptions, notes: ReadNotes
) -> list[Any]:
    values = _objects(path, batch, name, before)
    for offset, value in enumerate(values):
        if isinstance(value, bytes):
            values[offset] = _decoded(f"{path} row {before + offset + 1}", name, value, options, notes)
    return values


def _objects(path: Path, batch: Any, name: str, before: int) -> list[Any]:
    """The values of a column; text that is not UTF-8, although its column's type says so, is returned as bytes."""
    import pyarrow as pa

    column = batch.column(name)
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())  # float16 values would become NumPy objects
    try:
        try:
            values: list[Any] = column.to_pylist()
        except UnicodeDecodeError:  # written by a library that does not check the encoding
            plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            values = [_text_if_utf8(value) for value in plain.cast(pa.binary()).to_pylist()]
    except (pa.ArrowException, ValueError, OverflowError) as error:  # such as a date beyond Python's
        where = f"{path} rows {before + 1} to {before + len(column)}"
        raise PipelineError(f"{where}: {name!r} cannot be read: {' '.join(str(error).split())}") from None
    return values


def _text_if_utf8(value: bytes | None) -> str | bytes | None:
    try:
        return value if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _decoded(where: str, name: str, value: bytes, options: ReadOptions, notes: ReadNotes) -> str:
    encoding = options.encoding or "utf-8"
    try:
        return value.decode(encoding)
    except UnicodeDecodeError as error:
        if options.replace_undecodable:
            notes.replaced.add(where)
            return value.decode(encoding, "replace")
        bad = value[error.start : error.start + 4].hex(" ")
        raise PipelineError(
            f"{where}: {name!r} is not {encoding.upper()} at byte {error.start} ({bad}): {short(value[:60])}; name its "
            f"encoding, such as --encoding cp1252, or use --replace-undecodable"
        ) from None
