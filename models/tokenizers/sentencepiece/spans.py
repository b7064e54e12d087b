"""What code points become, as a table that a graph can look up. No TensorFlow here.

spans = span_table({ord("Å"): "å", ord("½"): "1/2"})
# cell 0: a code point stays; cell k: it becomes codes[splits[k]:splits[k + 1]]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CODE_POINTS = 0x110000
PAGE = 256


@dataclass(frozen=True)
class PagedTable:
    """A number for each code point: `cells[pages[c >> 8] * PAGE + (c & 255)]`. int32 [4352] and [pages * 256]."""

    pages: npt.NDArray[np.int32]
    cells: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Spans:
    """Texts by number, and which of them a code point becomes; 0 leaves it as it is, `empty` takes it away.

    int32: `splits` [texts + 2], `codes` [code points of all texts].
    """

    table: PagedTable
    splits: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int32]
    empty: int
    numbers: Mapping[str, int]


def paged(values: npt.NDArray[np.integer]) -> PagedTable:
    """A table of `values`, [0x110000], without repeated pages."""
    rows = values.astype(np.int32).reshape(-1, PAGE)
    numbers: dict[bytes, int] = {}
    pages = [numbers.setdefault(row.tobytes(), len(numbers)) for row in rows]
    return PagedTable(np.array(pages, np.int32), np.frombuffer(b"".join(numbers), np.int32))


def span_table(becomes: Mapping[int, str], others: Iterable[str] = ()) -> Spans:
    """Args:
    becomes: code point -> text, of those that change.
    others: texts that have a number, too.
    """
    numbers = {text: number for number, text in enumerate(dict.fromkeys(["", *becomes.values(), *others]), 1)}
    cells = np.zeros(CODE_POINTS, np.int32)
    cells[list(becomes)] = [numbers[text] for text in becomes.values()]
    return Spans(
        paged(cells),
        np.cumsum([0, 0, *map(len, numbers)], dtype=np.int32),
        np.frombuffer("".join(numbers).encode("utf-32-le"), np.int32),
        numbers[""],
        numbers,
    )
