"""Where the Rust tokenizer's normalizer sees the grapheme clusters of a text: a category for each code point.

`Precompiled` replaces a cluster of less than six bytes as a whole, so its results depend on the rules of Unicode's
Annex 29 and on the Unicode version of the Rust library. The library has no function that tells, but what it makes of a
text does: with a character map that turns every character into "|", a short cluster becomes one of them, and characters
of different clusters, or of a long one, become several. The categories are those that such results tell apart. No
TensorFlow here.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import normalizers

from models.tokenizers.sentencepiece.spans import CODE_POINTS, PAGE

SURROGATES = slice(0xD800, 0xE000)
UNASSIGNED = slice(0x40000, 0xE0000)  # planes without a character: one code point of a page is asked

# OTHER: also regional indicators. Two of them have eight bytes, so it does not matter that they are one cluster.
OTHER = 0
# What follows stays in the cluster. Between the consonants of a conjunct there is a LINKER, and CONJOINING around it.
EXTEND, CONJOINING, LINKER, ZWJ, SPACING = range(1, 6)
PREPEND, CONTROL, CR, LF = range(6, 10)
L, V, T, LV, LVT = range(10, 15)  # Hangul
CONSONANT, PICTOGRAPH = 15, 16
CATEGORIES = 17

# What is between two categories. CONJUNCT and EMOJI: it depends on what is before them.
BREAK, JOIN, CONJUNCT, EMOJI = range(4)

_MARK = 0x0301  # an EXTEND of two bytes
_KA, _VIRAMA = 0x0915, 0x094D  # a CONSONANT and a LINKER
_JOINER = 0x200D
_COPYRIGHT = 0xA9  # a PICTOGRAPH of two bytes
_SEPARATOR = 1  # a control character that the map leaves alone
_BATCH = 1 << 15
_EACH = -1  # in a probe: the code point that is asked about


def pair_rules() -> npt.NDArray[np.int32]:
    """`[before, after]` -> BREAK, JOIN, CONJUNCT or EMOJI, int32 [CATEGORIES, CATEGORIES]: Annex 29 without GB12, GB13."""
    rules = np.full((CATEGORIES, CATEGORIES), BREAK, np.int32)
    rules[ZWJ, PICTOGRAPH] = EMOJI
    rules[:, CONSONANT] = CONJUNCT
    rules[PREPEND, :] = JOIN
    rules[:, EXTEND : SPACING + 1] = JOIN
    for before, after in ((L, (L, V, LV, LVT)), (LV, (V, T)), (V, (V, T)), (LVT, (T,)), (T, (T,))):
        rules[before, list(after)] = JOIN
    rules[[CONTROL, CR, LF], :] = BREAK
    rules[:, [CONTROL, CR, LF]] = BREAK
    rules[CR, LF] = JOIN
    return rules


@functools.lru_cache(maxsize=1)
def grapheme_categories() -> npt.NDArray[np.int32]:
    """The category of each code point: `[0x300]` -> CONJOINING. int32 [0x110000]; a second, then kept."""
    asked = np.arange(CODE_POINTS)
    asked = np.concatenate([asked[: UNASSIGNED.start], asked[UNASSIGNED][::PAGE], asked[UNASSIGNED.stop :]])
    of_asked = _categories(asked)
    between = np.repeat(of_asked[UNASSIGNED.start : -(CODE_POINTS - UNASSIGNED.stop)], PAGE)
    found = [of_asked[: UNASSIGNED.start], between, of_asked[-(CODE_POINTS - UNASSIGNED.stop) :]]
    return np.concatenate(found)


def _categories(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    codes = codes.copy()
    codes[SURROGATES] = 0xFFFD  # what decoding makes of them
    codes[[0, _SEPARATOR]] = 2  # a control character, as they are
    categories = np.full(len(codes), OTHER, np.int32)
    # In one cluster with what is before and after, or alone: 1 and the mark's.
    around = _clusters(codes, [ord("a"), _EACH, ord("a")])
    after_joiner = _clusters(codes, [_COPYRIGHT, _JOINER, _EACH, _MARK, _MARK])
    categories[after_joiner == 3] = CONTROL
    categories[after_joiner == 5] = PICTOGRAPH
    joined = np.flatnonzero(around == 2)
    is_prepend = _clusters(codes[joined], [_EACH, ord("a")]) == 1
    categories[joined[is_prepend]] = PREPEND
    categories[joined[~is_prepend]] = _extending(codes[joined[~is_prepend]])
    rest = np.flatnonzero(categories == OTHER)
    rest = rest[(codes[rest] >= 0x800)]  # letters of fewer than three bytes are in no syllable
    categories[rest] = _syllabic(codes[rest])
    categories[[ord("\r"), ord("\n")]] = CR, LF
    return categories


def _extending(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Of code points that stay in the cluster before them."""
    categories = np.full(len(codes), EXTEND, np.int32)
    in_emoji = _clusters(codes, [_COPYRIGHT, _EACH, _JOINER, _COPYRIGHT, _MARK])
    categories[in_emoji == 4] = SPACING
    conjoining = _clusters(codes, [_KA, _EACH, _VIRAMA, _KA, _MARK])
    categories[conjoining == 5] = CONJOINING
    categories[_clusters(codes, [_KA, _EACH, _KA, _MARK]) == 4] = LINKER
    categories[codes == _JOINER] = ZWJ
    return categories


def _syllabic(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Consonants and Hangul; OTHER for the rest."""
    categories = np.full(len(codes), OTHER, np.int32)
    categories[_clusters(codes, [_EACH, _VIRAMA, _KA, _MARK]) == 4] = CONSONANT
    hangul = np.flatnonzero((codes >= 0x1100) & (codes < 0xD800) & (categories == OTHER))
    of_hangul = codes[hangul]
    leading, vowel, trailing = 0x1100, 0x1161, 0x11A8
    # Joined: a long cluster, of which every character becomes a "|".
    after_l, after_v = (_clusters(of_hangul, [code, _EACH, _MARK]) == 3 for code in (leading, vowel))
    before_v, before_t = (_clusters(of_hangul, [_EACH, code, _MARK]) == 3 for code in (vowel, trailing))
    kinds = {
        L: after_l & before_v & ~before_t,
        V: after_v & before_v,
        T: after_v & ~before_v,
        LV: after_l & before_v & before_t & ~after_v,
        LVT: after_l & ~before_v,
    }
    for kind, is_kind in kinds.items():
        categories[hangul[is_kind]] = kind
    return categories


def _clusters(codes: npt.NDArray[np.int64], probe: Sequence[int]) -> npt.NDArray[np.int64]:
    """How many "|" a probe becomes with each code point in it: int64 [codes]."""
    normalize = _every_character().normalize_str
    counts = [np.zeros(0, np.int64)]
    for start in range(0, len(codes), _BATCH):
        batch = codes[start : start + _BATCH]
        columns = [batch if code == _EACH else np.full_like(batch, code) for code in (*probe, _SEPARATOR)]
        text = np.stack(columns, axis=1).astype("<u4").tobytes().decode("utf-32-le")
        ends = np.flatnonzero(np.frombuffer(normalize(text).encode(), np.uint8) == _SEPARATOR)
        counts.append(np.diff(ends, prepend=-1) - 1)
    return np.concatenate(counts)


# --- a map of every character -----------------------------------------------------------------------------

_CONTINUING = np.arange(0x80, 0xC0)
_BLOCK = len(_CONTINUING)
# A first byte -> the second bytes that UTF-8 allows after it, where these are not all.
_SECOND = {
    0xE0: np.arange(0xA0, 0xC0),
    0xED: np.arange(0x80, 0xA0),
    0xF0: np.arange(0x90, 0xC0),
    0xF4: np.arange(0x80, 0x90),
}
_ROOT = 256  # the children of the root are at 256 to 511
_SHARED = 4  # a unit that no child is at: the value of all texts


@functools.lru_cache(maxsize=1)
def _every_character() -> normalizers.Normalizer:
    """Makes "|" of every character but NUL and the separator."""
    units = _double_array()
    return normalizers.Precompiled(struct.pack("<I", units.nbytes) + units.tobytes() + b"|\0")


def _double_array() -> npt.NDArray[np.uint32]:
    """The trie of all characters; the children of a node are at its offset XOR their bytes, 64 of them side by side."""
    units = np.zeros(1 << 21, np.uint32)
    units[0], units[_SHARED] = _ROOT << 10, 1 << 31
    end = 2 * _ROOT

    def place(at: npt.NDArray[np.int64], label: npt.NDArray[np.int64], to: Any, leaf: bool) -> None:
        units[at] = (at ^ to) << 10 | leaf << 8 | label

    def inner(at: npt.NDArray[np.int64], label: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The offset of the children of each node."""
        nonlocal end
        to = (end + _BLOCK * np.arange(len(at))) ^ _CONTINUING[0]
        end += _BLOCK * len(at)
        place(at, label, to, leaf=False)
        return to

    ascii_codes = np.delete(np.arange(0x80), [0, _SEPARATOR])
    place(_ROOT ^ ascii_codes, ascii_codes, _SHARED, leaf=True)
    for first, last, length in ((0xC2, 0xDF, 2), (0xE0, 0xEF, 3), (0xF0, 0xF4, 4)):
        labels = np.arange(first, last + 1)
        places = _ROOT ^ labels
        for continuing in range(1, length):
            offsets = inner(places, labels)
            allowed = [
                _SECOND.get(label, _CONTINUING) if continuing == 1 else _CONTINUING
                for label in labels.tolist()
            ]
            places = np.concatenate(
                [offset ^ labels for offset, labels in zip(offsets, allowed, strict=True)]
            )
            labels = np.concatenate(allowed)
        place(places, labels, _SHARED, leaf=True)
    return units[: -(-end // 256) * 256]
