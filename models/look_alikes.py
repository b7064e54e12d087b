"""Finds labels that look the same to a reader but are different strings, and so different classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"[+-]?(?=\.?\d)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?", re.ASCII)
# Cyrillic, Greek and Armenian letters that look like Latin ones, dashes, quotation marks and slashes, except those that NFKC folds.
_HOMOGLYPHS = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеѕіјорсухһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοναρικυχкօ‐‑‒–—―−‘’‚‛`´“”„‟⁄∕",
    "ABESIJKMHOPCTYXaesijopcyxhdqwABEZHIKMNOPTYXovapikuxko-------''''''\"\"\"\"//",
)
# Code points without a glyph that are not format characters (Cf): Default_Ignorable_Code_Point of Unicode 15.
_INVISIBLE = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2065, 0x2065),
    (0x2800, 0x2800),  # a Braille pattern without dots
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0xE0000, 0xE0FFF),
)


def look_alikes(labels: Iterable[str]) -> list[list[str]]:
    """Groups of two or more labels that look the same, in the order of their first labels.

    Such labels differ only in case, white space, compatible or composed forms (NFKC), invisible characters,
    homoglyphs of other alphabets, or the spelling of a number: `["spam", "1", "Spam", "ham", "1.0"]` ->
    `[["spam", "Spam"], ["1", "1.0"]]`
    """
    groups: list[list[str]] = []
    number_of: dict[str, int] = {}  # appearance -> position of its group
    for label in labels:
        keys = _appearances(label)
        known = sorted({number_of[key] for key in keys if key in number_of})
        number = known[0] if known else len(groups)
        if not known:
            groups.append([])
        for other in known[1:]:  # this label looks like members of several groups, which are merged
            groups[number] += groups[other]
            groups[other] = []
            number_of |= {key: number for key, owner in number_of.items() if owner == other}
        groups[number].append(label)
        number_of |= dict.fromkeys(keys, number)
    return [group for group in groups if len(group) > 1]


def _appearances(label: str) -> set[str]:
    """Normalized forms of a label; labels that share one look alike: `" Ｓpam\u200b"` -> `{"spam"}`, `"1e0"` -> `{"1"}`.

    A label with letters of other alphabets has two: itself, case-folded, and the Latin letters that it resembles
    (an upper-case letter may look like a Latin one although its lower-case form does not).
    """
    if label.isascii() and label.isalpha():
        return {label.lower()}
    text = "".join(c for c in unicodedata.normalize("NFKC", label) if not _is_invisible(c))
    return {_folded(text), _folded(text.translate(_HOMOGLYPHS))}


def _folded(text: str) -> str:
    text = " ".join(unicodedata.normalize("NFKC", text.casefold()).split())
    return _number(text) or text


def _is_invisible(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cc":
        return not character.isspace()
    return category == "Cf" or any(first <= ord(character) <= last for first, last in _INVISIBLE)


def _number(text: str) -> str | None:
    """One spelling of a decimal number, of any length: `"01.50"`, `"1.5"` and `"15e-1"` -> `"15e-1"`."""
    # int() and Decimal() accept underscores and digits of other scripts, and round or reject long numbers.
    digits = "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in text)
    match = _NUMBER.fullmatch(digits)
    if match is None:
        return None
    whole, fraction, exponent = match[1], match[2] or "", int(match[3] or 0)
    significant = (whole + fraction).lstrip("0")
    shortest = significant.rstrip("0")
    if not shortest:
        return "0"
    power = exponent - len(fraction) + len(significant) - len(shortest)
    sign = "-" if text.startswith("-") else ""
    return f"{sign}{shortest}" if power == 0 else f"{sign}{shortest}e{power}"


def listed(labels: Sequence[str], limit: int = 5) -> str:
    """`["a", "A", "b"]` -> `"'a', 'A' and 'b'"`; escapes invisible characters, counts labels beyond `limit`."""
    shown = [quoted(label) for label in labels[:limit]]
    if len(labels) > limit:
        shown.append(f"{len(labels) - limit} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def quoted(label: str) -> str:
    """The label in quotes; non-ASCII characters also as code points, because two may look the same.

    `"café"` -> `"'café' (caf\\xe9)"`
    """
    shown = repr(label)
    return shown if shown.isascii() else f"{shown} ({ascii(label)[1:-1]})"
