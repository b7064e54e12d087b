"""Words of a text by a rule that the config names, for tasks that label words. Imports no TensorFlow.

    split_words("Dr. Who's", "whitespace_punctuation")
    # [Word("Dr", 0, 2), Word(".", 2, 3), Word("Who", 4, 7), Word("'", 7, 8), Word("s", 8, 9)]

`words.py` finds the same words in a graph.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tokenizers.pre_tokenizers import PreTokenizer

# whitespace: words end at white space, which belongs to none. whitespace_punctuation: each punctuation character (ASCII's and
# Unicode's category P) is also a word of its own, as BERT splits texts. Both are pre-tokenizers of the Rust tokenizer.
WordRule: TypeAlias = Literal["whitespace", "whitespace_punctuation"]
WORD_RULES: tuple[WordRule, ...] = get_args(WordRule)
DEFAULT_RULE: WordRule = "whitespace_punctuation"

CODE_POINTS = 0x110000
SURROGATES = range(0xD800, 0xE000)
PAGE = 256
_BATCH = 4096  # code points asked about at a time

LETTER, SPACE, ISOLATED = range(3)  # ISOLATED: a word of its own


class Word(NamedTuple):
    """A word of a text; `start` and `end` are in code points, `text[start:end]` is the word."""

    text: str
    start: int
    end: int


def split_words(text: str, rule: WordRule) -> list[Word]:
    """The words of a text. None of them is empty."""
    return [Word(word, *span) for word, span in _splitter(rule).pre_tokenize_str(text)]


def _splitter(rule: WordRule) -> PreTokenizer:
    from tokenizers import pre_tokenizers  # not every config check needs it

    return pre_tokenizers.WhitespaceSplit() if rule == "whitespace" else pre_tokenizers.BertPreTokenizer()


class KindTable(NamedTuple):
    """The kind of code point c is `cells[pages[c >> 8] * PAGE + (c & 255)]`: int32 [4352], uint8 [pages * 256]."""

    pages: npt.NDArray[np.int32]
    cells: npt.NDArray[np.uint8]


@functools.cache
def kind_table(rule: WordRule) -> KindTable:
    """The kinds of all code points, as the installed Rust tokenizer answers: no other Unicode table has a say."""
    import numpy as np  # not every config check needs it

    cells, pages = np.unique(_kinds(rule).reshape(-1, PAGE), axis=0, return_inverse=True)
    return KindTable(pages.reshape(-1).astype(np.int32), cells.reshape(-1))


def _kinds(rule: WordRule) -> npt.NDArray[np.uint8]:
    """LETTER, SPACE or ISOLATED of each code point, uint8 [0x110000]."""
    import numpy as np

    kinds = np.full(CODE_POINTS, SPACE, np.uint8)
    for start in range(0, CODE_POINTS, _BATCH):
        codes = [c if c not in SURROGATES else ord("a") for c in range(start, start + _BATCH)]
        # Code point i is at place 2 * i + 1, between two letters.
        for _, begin, end in split_words("a" + "".join(f"{chr(c)}a" for c in codes), rule):
            inside = range(begin | 1, end, 2)
            kinds[start + np.array(inside, np.int64) // 2] = ISOLATED if end - begin == 1 else LETTER
    return kinds
