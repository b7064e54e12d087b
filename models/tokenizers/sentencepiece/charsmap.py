"""SentencePiece's precompiled normalization: what characters, and short grapheme clusters, become. No TensorFlow here.

The map is the size of a double array in bytes, the double array, and texts that end with NUL. The array is a trie of
UTF-8 texts: a unit has a byte's label, where its children are and whether a text ends there. The Rust tokenizer's
`Precompiled` looks for the shortest text of the trie that a cluster of less than six bytes begins with, and replaces the
cluster by its value; all other clusters are replaced character by character.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SHORT = 6  # bytes: clusters of fewer are replaced as a whole
_LEAF = np.uint32(1 << 8)
_VALUE = np.uint32((1 << 31) - 1)


@dataclass(frozen=True)
class Charsmap:
    """`characters`: code point -> its text. `clusters`: two or three characters of less than six bytes -> their text."""

    characters: dict[int, str]
    clusters: dict[str, str]


def read_charsmap(charsmap: str) -> Charsmap:
    """Reads a character map that is base64.

    Raises:
        ValueError: it is no map of UTF-8 texts.
    """
    try:
        entries = dict(_entries(base64.b64decode(charsmap, validate=True)))
    except (IndexError, struct.error) as error:
        raise ValueError(str(error)) from error
    return Charsmap(
        {ord(text): value for text, value in entries.items() if len(text) == 1},
        {text: value for text, value in entries.items() if len(text) > 1 and len(text.encode()) < SHORT},
    )


def _entries(data: bytes) -> Iterator[tuple[str, str]]:
    """(text, what it becomes) of the texts of less than SHORT bytes; no others are looked for."""
    if not data:
        return
    (size,) = struct.unpack_from("<I", data)
    if size % 4 or 4 + size > len(data) or not size:
        raise ValueError(f"its trie has {size} of {len(data)} bytes")
    units = np.frombuffer(data, "<u4", size // 4, 4)
    texts = data[4 + size :]
    texts.decode()
    places, parents = _by_parent(units)
    keys, nodes = [b""], _offsets(units[:1])
    for _ in range(SHORT - 1):
        first, counts = _ranges(parents, nodes)
        of_children = np.repeat(np.arange(len(nodes)), counts)
        before = np.cumsum(counts) - counts
        children = places[np.arange(len(of_children)) + (first - before)[of_children]]
        labels = (units[children] & 0xFF).tolist()
        keys = [keys[node] + bytes([label]) for node, label in zip(of_children.tolist(), labels, strict=True)]
        nodes = children ^ _offsets(units[children])
        for index in np.flatnonzero(units[children] & _LEAF):
            value = int(units[nodes[index]] & _VALUE)
            yield keys[index].decode(), texts[value : _end(texts, value)].decode()


def _ranges(
    parents: npt.NDArray[np.int64], nodes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the children of each node begin among sorted `parents`, and how many there are."""
    first = np.searchsorted(parents, nodes)
    return first, np.searchsorted(parents, nodes, "right") - first


def _end(texts: bytes, start: int) -> int:
    """Where the text that begins at `start` ends: at a NUL, or with the map."""
    end = texts.find(b"\0", start)
    return len(texts) if end < 0 else end


def _by_parent(units: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The units that a byte leads to, and the offset of the node that they are children of, by that offset.

    NUL ends a search, so it leads nowhere.
    """
    places = np.flatnonzero((units & 0xFF != 0) & (units >> 31 == 0))
    parents = places ^ (units[places] & 0xFF).astype(np.int64)
    order = np.argsort(parents, kind="stable")
    return places[order], parents[order]


def _offsets(units: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Of a unit XOR its place: where its children are, each XOR its byte."""
    return ((units >> 10) << ((units & (1 << 9)) >> 6)).astype(np.int64)
