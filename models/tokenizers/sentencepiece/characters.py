"""What the Rust tokenizer knows of Unicode: answers of the installed library about each code point. No TensorFlow here."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import normalizers, pre_tokenizers

from models.errors import PipelineError
from models.tokenizers.sentencepiece.graphemes import SURROGATES
from models.tokenizers.sentencepiece.spans import CODE_POINTS

BATCH = 4096  # code points asked about at a time
_SEPARATOR = "\u1401"  # a letter that every form leaves as it is, and makes of no other


@functools.lru_cache(maxsize=16)
def changed_characters(names: tuple[str, ...]) -> dict[int, str]:
    """Code point -> what the normalizers with these names, one after the other, make of it, where that is not itself.

    `("NFKD", "StripAccents")`: `{0xC5: "A", ...}`. Surrogates, which no UTF-8 text has, are left out.
    """
    normalize = normalizers.Sequence([getattr(normalizers, name)() for name in names]).normalize_str
    codes = [c for c in range(CODE_POINTS) if c not in range(SURROGATES.start, SURROGATES.stop)]
    codes.remove(ord(_SEPARATOR))
    changed: dict[int, str] = {}
    for start in range(0, len(codes), BATCH):
        batch = codes[start : start + BATCH]
        asked = _SEPARATOR.join(map(chr, batch))
        if (answer := normalize(asked)) != asked:
            texts = answer.split(_SEPARATOR)
            changed |= {c: text for c, text in zip(batch, texts, strict=True) if text != chr(c)}
    if normalize(_SEPARATOR) != _SEPARATOR:
        changed[ord(_SEPARATOR)] = normalize(_SEPARATOR)
    return changed


@functools.lru_cache(maxsize=1)
def combining_classes() -> npt.NDArray[np.int32]:
    """The canonical combining class of each code point, 0 of those that NFD sorts nothing by: int32 [0x110000].

    Raises:
        PipelineError: the library sorts by other classes than Python's own Unicode data have.
    """
    overlay, below = "\u0334", "\u0345"  # the lowest class and the highest
    codes = [c for c in range(CODE_POINTS) if c not in range(SURROGATES.start, SURROGATES.stop)]
    codes.remove(ord(_SEPARATOR))
    # A mark of one character only; what decomposes is sorted as what it becomes.
    single = [c for c in codes if c not in changed_characters(("NFD",))]
    is_mark = _sorts([below + chr(c) for c in single]) | _sorts([chr(c) + overlay for c in single])
    marks = [c for c, sorts in zip(single, is_mark, strict=True) if sorts]
    classes = {c: unicodedata.combining(chr(c)) for c in marks}
    examples = {kind: c for c, kind in classes.items()}
    pairs = [(a, b) for a in marks for b in examples.values()]
    wanted = np.array([classes[a] > classes[b] for a, b in pairs])
    if (_sorts([chr(a) + chr(b) for a, b in pairs]) != wanted).any() or 0 in examples:
        raise PipelineError(
            "`tokenizers` sorts marks by other classes than Python's unicodedata; another release may not"
        )
    found = np.zeros(CODE_POINTS, np.int32)
    found[marks] = [classes[c] for c in marks]
    return found


def _sorts(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether NFD changes the order of characters in each text."""
    answer = normalizers.NFD().normalize_str(_SEPARATOR.join(texts)).split(_SEPARATOR)
    return np.array([one != other for one, other in zip(answer, texts, strict=True)])


@functools.lru_cache(maxsize=1)
def punctuation() -> npt.NDArray[np.int32]:
    """The code points that are words of their own for the pre-tokenizer Punctuation, in order: int32 [several hundred]."""
    split = pre_tokenizers.Punctuation("isolated").pre_tokenize_str
    found = []
    for start in range(0, CODE_POINTS, BATCH):
        codes = [c for c in range(start, start + BATCH) if c not in range(SURROGATES.start, SURROGATES.stop)]
        # Every code point is at an odd place, between letters.
        words = split("a" + "".join(f"{chr(c)}a" for c in codes))
        found += [codes[begin // 2] for _, (begin, end) in words if begin % 2 and end - begin == 1]
    return np.array(found, np.int32)
