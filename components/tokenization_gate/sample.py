"""Which rows are compared: always the same for the same data, from every split and every part of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Literal


def sample_sizes(rows: Mapping[str, int], limit: int | Literal["all"]) -> dict[str, int]:
    """How many rows of each split are compared: equally many, and more of large splits if others have fewer.

    `({"train": 4906, "eval": 546, "test": 500}, 2000) -> {"train": 954, "eval": 546, "test": 500}`
    """
    if limit == "all":
        return dict(rows)
    left, sizes = limit, dict[str, int]()
    for done, split in enumerate(sorted(rows, key=rows.__getitem__)):
        sizes[split] = min(rows[split], left // (len(rows) - done))
        left -= sizes[split]
    return {split: sizes[split] for split in rows}


def sampled_rows(rows: int, size: int) -> Iterator[int]:
    """Indices of the rows that are compared, ascending: one from each of `size` equal parts of the split.

    A hash gives the place in its part: with equal steps, data with a period would be sampled at few of its phases.
    """
    for number in range(size):
        start, end = number * rows // size, (number + 1) * rows // size
        yield start + zlib.crc32(b"%d" % number) % (end - start)
