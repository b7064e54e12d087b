"""Reads text files, line by line or as a whole: compressed or not, in UTF-8, UTF-16 or the encoding that the user names.

UTF-8 is decoded strictly. UTF-16 and UTF-32 are recognized by their byte order mark; UTF-16 without a mark is
recognized by its NUL bytes. Other encodings cannot be detected reliably, so the user has to name them.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from models.errors import PipelineError, UsageError
from pipeline.importing.rows import MAX_FIELD_CHARACTERS, ReadNotes, ReadOptions, Sightings

COMPRESSED = (".gz", ".bz2")
# A character takes at most four bytes in UTF-8.
_MAX_LINE = 4 * MAX_FIELD_CHARACTERS
_HEAD_BYTES = 1 << 16
_START_BYTES = 512
# Longer marks first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Encodings whose byte order is given by the mark.
_BY_MARK = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}
_OTHER_FORMATS = (
    (b"PK\x03\x04", "a ZIP archive (an Excel workbook?): save it as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: save it as CSV UTF-8"),
    (b"\x1f\x8b", "compressed with gzip: its name must end in .gz"),
    (b"BZh91AY&SY", "compressed with bzip2: its name must end in .bz2"),
    (b"PAR1\x15", "a Parquet file: its name must end in .parquet"),
)


def known_encoding(name: str) -> str:
    """The name of a text encoding in Python's codecs: `"UTF8"` -> `"utf-8"`.

    Raises:
        UsageError: there is no encoding of that name.
    """
    try:
        codec = codecs.lookup(name)
        "".encode(name)  # fails for codecs that are not text encodings, such as base64
    except (LookupError, ValueError):
        raise UsageError(
            f"--encoding {name!r} is unknown; use one such as utf-8, utf-16, cp1252, latin-1, shift_jis"
        ) from None
    return codec.name


def sniffed_encoding(head: bytes) -> tuple[str, int]:
    """Detects the encoding from the first bytes of a file; returns it and the length of its byte order mark.

    `b"\\xff\\xfet\\x00"` -> `("utf-16-le", 2)`, `b"t\\x00e\\x00"` -> `("utf-16-le", 0)`, `b"text"` -> `("utf-8", 0)`
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    # Column names, separators and line ends are below U+0100, so one of their two bytes is NUL.
    start = head[:_START_BYTES]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) < 4 or 20 * max(even, odd) < len(start) or min(even, odd):
        return "utf-8", 0
    return ("utf-16-le" if odd else "utf-16-be"), 0


def decoded_lines(path: Path, options: ReadOptions, notes: ReadNotes) -> Iterator[str]:
    """Yields lines with their line ends, without the byte order mark.

    Raises:
        PipelineError: bytes cannot be decoded (unless they are to be replaced), or a line is too long.
    """
    with _open(path) as file:
        head = cast(io.BufferedReader, file).peek(_HEAD_BYTES)[:_HEAD_BYTES]
        _refuse_other_formats(path, head)
        encoding, mark = _encoding(head, options)
        if encoding != "utf-8" and options.encoding is None:
            notes.detected.append(
                f"{path}: read as {encoding.upper()}" + ("" if mark else ", without a byte order mark")
            )
        file.read(mark)
        if encoding == "utf-8":
            yield from _utf8_lines(file, path, mark, options, notes)
        else:
            yield from _recoded_lines(file, path, encoding, options, notes)


def whole_text(path: Path, options: ReadOptions, notes: ReadNotes) -> str:
    """The text of a small file, without line breaks at its end; raises the same errors as `decoded_lines`."""
    size = path.stat().st_size
    if size > _MAX_LINE:
        raise PipelineError(f"{path}: {size:,} bytes, longer than {_MAX_LINE:,}")
    content = path.read_bytes()
    encoding, mark = _encoding(content[:_HEAD_BYTES], options)
    if encoding != "utf-8" and options.encoding is None:
        notes.recoded.setdefault(encoding.upper(), Sightings()).add(str(path))
    try:
        text = content[mark:].decode(encoding)
    except UnicodeDecodeError as error:
        if not options.replace_undecodable:
            line = error.object[: error.start].decode(encoding, "replace").count("\n") + 1
            raise _undecodable(path, line, None, encoding, error) from None
        notes.replaced.add(str(path))
        text = content[mark:].decode(encoding, "replace")
    return text.rstrip("\r\n")


def _open(path: Path) -> IO[bytes]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return bz2.open(path, "rb") if suffix == ".bz2" else path.open("rb", buffering=_HEAD_BYTES)


def _encoding(head: bytes, options: ReadOptions) -> tuple[str, int]:
    """The encoding that the user names, otherwise the detected one, and the length of the mark."""
    sniffed, mark = sniffed_encoding(head)
    if options.encoding is None:
        return sniffed, mark
    if mark and sniffed.startswith(options.encoding.removesuffix("-sig")):
        return sniffed, mark
    return _BY_MARK.get(options.encoding, options.encoding), 0


def _refuse_other_formats(path: Path, head: bytes) -> None:
    for magic, what in _OTHER_FORMATS:
        if head.startswith(magic):
            raise PipelineError(f"{path}: not a text file, but {what}")


def _utf8_lines(
    file: IO[bytes], path: Path, mark: int, options: ReadOptions, notes: ReadNotes
) -> Iterator[str]:
    number = 0
    while line := file.readline(_MAX_LINE):
        number += 1
        if len(line) == _MAX_LINE:
            raise PipelineError(f"{path} line {number}: longer than {len(line):,} bytes")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            if not options.replace_undecodable:
                raise _undecodable(path, number, mark if number == 1 else 0, "utf-8", error) from None
            notes.replaced.add(f"{path} line {number}")
            text = line.decode("utf-8", "replace")
        yield text


def _recoded_lines(
    file: IO[bytes], path: Path, encoding: str, options: ReadOptions, notes: ReadNotes
) -> Iterator[str]:
    """Yields lines of encodings other than UTF-8, whose line ends are not always the single byte 0x0A."""
    errors = "replace" if options.replace_undecodable else "strict"
    lines = io.TextIOWrapper(cast(io.BufferedReader, file), encoding, errors, newline="\n")
    number = 0
    try:
        while line := lines.readline(_MAX_LINE):
            number += 1
            if len(line) == _MAX_LINE:
                raise PipelineError(f"{path} line {number}: longer than {len(line):,} characters")
            if options.replace_undecodable and "\ufffd" in line:
                notes.replaced.add(f"{path} line {number}")
            yield line
    except UnicodeDecodeError as error:
        # The decoder works on blocks: the lines before the bad byte in its block have not been returned yet.
        good = error.object[: error.start].decode(encoding, "replace").count("\n")
        raise _undecodable(path, number + 1 + good, None, encoding, error) from None


def _undecodable(
    path: Path, line: int, before: int | None, encoding: str, error: UnicodeDecodeError
) -> PipelineError:
    """The error for undecodable bytes.

    `before` is the number of bytes of the line that were removed before decoding; None: the position is unknown.
    """
    content = error.object
    bad = content[error.start : error.start + 4].hex(" ")
    near = content[max(0, error.start - 20) : error.start + 20].decode(encoding, "replace")
    place = "" if before is None else f" at byte {error.start + before}"
    return PipelineError(
        f"{path} line {line}: not {encoding.upper()}{place} ({bad}) near {near!r}; name the file's encoding, such as "
        f"--encoding cp1252, or use --replace-undecodable"
    )
