"""Sorts rows by a 128-bit hash of their text and merges duplicates, in bounded memory.

Rows are written to 256 files by the first byte of the hash. Each file is then loaded, merged and sorted on
its own; one that is too large is split into 256 further files by the next byte. Read in the order of
the bytes, the files give one global order that looks random but depends on the texts only.
"""

from __future__ import annotations

import hashlib
import marshal
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from models.tasks.importing import BETWEEN

KEY_BYTES = 16
_BETWEEN = BETWEEN.encode()
_LENGTH = struct.Struct("<I")
_MAX_PARTITION_BYTES = 4 << 20


class Stored(NamedTuple):
    """One stored row: feature values, where it comes from (file index, line or row), and its published split if any."""

    values: tuple[bytes, ...]
    where: tuple[int, int | str]
    split: str = ""


class Merged(NamedTuple):
    """All rows of one text: the number of those without a split, one of them per distinct label, and those with a split."""

    rows: int
    variants: list[Stored]
    published: list[Stored]


def text_key(texts: Sequence[bytes]) -> bytes:
    """128-bit hash of a text, or of a text and its pair: `(b"a", b"bc")` differs from `(b"ab", b"c")`."""
    digest = hashlib.blake2b(texts[0], digest_size=KEY_BYTES)
    for text in texts[1:]:
        digest.update(b"\0" + _LENGTH.pack(len(text)) + text)
    return digest.digest()


class Spill:
    """Files of rows by one byte of their key. Call `add`, then `merged` once, which removes the files."""

    def __init__(self, folder: Path, label_index: int, depth: int = 0) -> None:
        folder.mkdir()
        self._folder = folder
        self._label_index = label_index
        self._depth = depth
        self._files: dict[int, BinaryIO] = {}

    def add(self, key: bytes, row: Stored) -> None:
        """Stores one row under the key of its text."""
        self._append(key, marshal.dumps(tuple(row)))

    def merged(self, renamed: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, Merged]]:
        """Yields (key, rows with that key) in the order of the keys, independent of insertion order.

        Args:
            renamed: label -> the label that replaces it.
        """
        for file in self._files.values():
            file.close()
        for bucket in sorted(self._files):
            path = self._path(bucket)
            # Rows that share all bytes of the key have the same text and are merged while they are loaded.
            if path.stat().st_size > _MAX_PARTITION_BYTES and self._depth < KEY_BYTES - 1:
                yield from self._spread(path, renamed)
            else:
                yield from sorted(self._load(path, renamed).items())
            path.unlink()
        self._folder.rmdir()

    def _append(self, key: bytes, payload: bytes) -> None:
        bucket = key[self._depth]
        file = self._files.get(bucket)
        if file is None:
            file = self._files[bucket] = self._path(bucket).open("wb")
        file.write(key + _LENGTH.pack(len(payload)) + payload)

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket:02x}"

    def _spread(self, path: Path, renamed: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, Merged]]:
        deeper = Spill(path.with_name(path.name + ".parts"), self._label_index, self._depth + 1)
        for key, payload in _entries(path):
            deeper._append(key, payload)
        yield from deeper.merged(renamed)

    def _load(self, path: Path, renamed: Mapping[bytes, bytes]) -> dict[bytes, Merged]:
        rows_of: dict[bytes, Merged] = {}
        for key, payload in _entries(path):
            row = Stored(*marshal.loads(payload))
            if renamed:
                row = self._renamed(row, renamed)
            rows_of[key] = self._merge(rows_of.get(key) or Merged(0, [], []), row)
        return rows_of

    def _renamed(self, row: Stored, renamed: Mapping[bytes, bytes]) -> Stored:
        values = list(row.values)
        labels = values[self._label_index].split(_BETWEEN)
        values[self._label_index] = _BETWEEN.join(sorted({renamed.get(label, label) for label in labels}))
        return row._replace(values=tuple(values))

    def _merge(self, known: Merged, row: Stored) -> Merged:
        if row.split:
            known.published.append(row)
            return known
        for index, other in enumerate(known.variants):
            if other.values[self._label_index] == row.values[self._label_index]:
                # The smallest values win (such as the first group by name), whichever row was read first.
                known.variants[index] = min(other, row)
                break
        else:
            known.variants.append(row)
        return known._replace(rows=known.rows + 1)


def _entries(path: Path) -> Iterator[tuple[bytes, bytes]]:
    with path.open("rb") as file:
        while key := file.read(KEY_BYTES):
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            yield key, file.read(length)
