"""What GPT-2's pattern sees in each Unicode code point, asked of the Rust tokenizer once. No TensorFlow here.

The pattern splits a text at changes between letters, numbers, white space and everything else. Which code point is what
depends on a version of Unicode: the graph has the answers of the installed `tokenizers` as a table, so no Unicode table
of TensorFlow or of a serving binary has a say.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, normalizers

CODE_POINTS = 0x110000
SURROGATES = range(0xD800, 0xE000)
PAGE = 256

# EDGE: before the first and after the last character of a text.
LETTER, NUMBER, SPACE, OTHER_SPACE, OTHER, EDGE = range(6)
_BATCH = 4096  # code points asked about at a time
_PATTERNS = {LETTER: (r"\p{L}", "a"), NUMBER: (r"\p{N}", "1"), OTHER_SPACE: (r"\s", "\t")}


@dataclass(frozen=True)
class CharacterTable:
    """Code point c is a `cells[pages[c >> 8], c & 255]`: uint8 [pages, 256], int32 [4352]."""

    pages: npt.NDArray[np.int32]
    cells: npt.NDArray[np.uint8]


@functools.lru_cache(maxsize=1)
def character_classes() -> npt.NDArray[np.uint8]:
    """`[ord("a")]` -> LETTER, `[ord("2")]` -> NUMBER, `[ord("!")]` -> OTHER. uint8 [0x110000]."""
    one_of_each = normalizers.Sequence(
        [normalizers.Replace(Regex(pattern), member) for pattern, member in _PATTERNS.values()]
    )
    asked = [chr(c) if c not in SURROGATES else "\ufffd" for c in range(CODE_POINTS)]
    batches = ("".join(asked[start : start + _BATCH]) for start in range(0, CODE_POINTS, _BATCH))
    members = np.array([*"".join(map(one_of_each.normalize_str, batches))])
    classes = np.full(CODE_POINTS, OTHER, np.uint8)
    for kind, (_, member) in _PATTERNS.items():
        classes[members == member] = kind
    classes[ord(" ")] = SPACE
    return classes


@functools.lru_cache(maxsize=1)
def character_table() -> CharacterTable:
    """The classes as a table of two levels."""
    cells, pages = np.unique(character_classes().reshape(-1, PAGE), axis=0, return_inverse=True)
    return CharacterTable(pages.reshape(-1).astype(np.int32), cells)
