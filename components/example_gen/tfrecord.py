"""Reads TFRecord shards; errors name the damaged record. Plain Python, without TensorFlow.

record = length (uint64) | masked crc32c(length) | data | masked crc32c(data), little-endian
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

import google_crc32c

from models.errors import PipelineError

GZIP_SUFFIX = ".gz"

_GZIP_START = b"\x1f\x8b"
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
FRAME_SIZE = _HEADER.size + _CRC.size  # bytes of a record in addition to its data
_CRC_MASK = 0xA282EAD8
_LARGEST = (1 << 31) - 1  # a protocol buffer cannot be larger
_BUFFER = 1 << 20


class Sink(Protocol):
    """Where `read_records` copies the shard: any binary file opened for writing."""

    def write(self, data: bytes, /) -> object: ...


def read_records(source: BinaryIO, shard: str, sink: Sink | None = None) -> Iterator[bytes]:
    """Yields the records of `source`, the open file named `shard`; gzip if the name ends in `.gz`.

    Every byte read is also written to `sink`, so that one pass both verifies and copies.

    Raises:
        PipelineError: the shard is truncated or corrupt, or its compression does not match its name;
            the message has the shard, the record (from 0) and its byte offset in the uncompressed data.
    """
    tee = io.BufferedReader(_Stream(source.read, sink), _BUFFER)
    compressed = shard.endswith(GZIP_SUFFIX)
    start = tee.peek(2)[:2]
    if compressed and start != _GZIP_START:
        what = "it is empty (0 bytes)" if not start else "its content is not gzip"
        raise broken(shard, 0, 0, f"the name ends in .gz but {what}")
    # read1 returns what was decompressed before the damage; read would lose it.
    stream: BinaryIO = (
        io.BufferedReader(_Stream(gzip.GzipFile(fileobj=tee).read1), _BUFFER) if compressed else tee
    )
    yield from _records(stream, shard, start == _GZIP_START and not compressed)


def broken(shard: str, index: int, offset: int, what: str) -> PipelineError:
    """Returns the error for record `index` of `shard`, at byte `offset` of its uncompressed data."""
    return PipelineError(
        f"{shard}: record {index} (byte {offset}): {what}; make this shard again, or remove it from the data"
    )


def masked_crc32c(data: bytes) -> int:
    """Returns the checksum that TFRecord stores for `data`."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _CRC_MASK) & 0xFFFFFFFF


class _Stream(io.RawIOBase):
    """A readable stream over a read function; everything read is also written to `sink`."""

    def __init__(self, read: Callable[[int], bytes], sink: Sink | None = None) -> None:
        self._read, self._sink = read, sink

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stubs name a wider type
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        if data and self._sink is not None:
            self._sink.write(data)
        return len(data)


def _records(stream: BinaryIO, shard: str, looks_gzipped: bool) -> Iterator[bytes]:
    index = offset = 0
    while True:
        try:
            record = _next_record(stream, looks_gzipped and index == 0)
        except EOFError:
            raise broken(shard, index, offset, "the gzip data ends early (truncated file)") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise broken(shard, index, offset, f"the gzip data is corrupt ({error})") from error
        except ValueError as error:
            raise broken(shard, index, offset, str(error)) from None
        if record is None:
            return
        yield record
        index += 1
        offset += FRAME_SIZE + len(record)


def _next_record(stream: BinaryIO, looks_gzipped: bool) -> bytes | None:
    header = stream.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise ValueError(f"the file ends inside the record's header ({len(header)} of {_HEADER.size} bytes)")
    length, length_crc = _HEADER.unpack(header)
    if masked_crc32c(header[:8]) != length_crc or length > _LARGEST:
        raise ValueError(_header_error(looks_gzipped))
    data = stream.read(length + _CRC.size)
    if len(data) < length + _CRC.size:
        raise ValueError(f"the file ends inside the record ({len(data)} of {length + _CRC.size} bytes)")
    record = data[:length]
    if masked_crc32c(record) != _CRC.unpack(data[length:])[0]:
        raise ValueError(f"the checksum of its {length} bytes does not match (corrupt data)")
    return record


def _header_error(looks_gzipped: bool) -> str:
    if looks_gzipped:
        return "the content is gzip but the name does not end in .gz (rename the file)"
    return "no valid record header (corrupt data, not a TFRecord, or a compression other than gzip)"
