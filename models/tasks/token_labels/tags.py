"""Tags of words: B-PER, I-PER, O. Imports no TensorFlow.

A tag is O or a prefix and the type of a span. Prefixes: B begins a span, I is inside it, E ends it, S is a span of one word.
Three schemes use them:

BIO (IOB2): every span begins with B.
IOB1: a span begins with I, and with B only where it follows another span of its type.
BIOES: BIO, with E for the last word of a span and S for the only one.

Spans are read alike in all of them (`spans.py`), so the scheme only says which transitions are illegal.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

OUTSIDE = "O"
BEGIN, INSIDE, END, SINGLE = "B", "I", "E", "S"
PREFIXES = (BEGIN, INSIDE, END, SINGLE)
_SEPARATOR = "-"

Scheme: TypeAlias = Literal["BIO", "IOB1", "BIOES"]


class Tag(NamedTuple):
    """`prefix` is O or one of PREFIXES, `type` is "" for O."""

    prefix: str
    type: str


@functools.lru_cache(maxsize=4096)
def read_tag(text: str) -> Tag:
    """`"B-PER"` -> `Tag("B", "PER")`.

    Raises:
        ValueError: it is no tag; the message says why.
    """
    if text == OUTSIDE:
        return Tag(OUTSIDE, "")
    prefix, separator, kind = text.partition(_SEPARATOR)
    if prefix not in PREFIXES or not separator or not kind:
        hint = "; write BILOU's L and U as E and S" if prefix in ("L", "U") and kind else ""
        raise ValueError(f"{text!r} is no tag: a tag is O, or B, I, E or S with a type, such as B-PER{hint}")
    return Tag(prefix, kind)


def scheme_of(labels: Iterable[str], rows: Iterable[Sequence[str]]) -> Scheme:
    """The scheme that rows of tags are written in; usually the first span says it.

    BIOES if a label of the list has the prefix E or S. IOB1 if some span begins with I and no B stands where IOB1 has none;
    BIO else.
    """
    if any(read_tag(label).prefix in (END, SINGLE) for label in labels):
        return "BIOES"
    first_inside = False
    for row in rows:
        for before, tag in _pairs(row):
            if before.type == tag.type and before.prefix != OUTSIDE:
                continue
            if tag.prefix == BEGIN:
                return "BIO"
            first_inside |= tag.prefix == INSIDE
    return "IOB1" if first_inside else "BIO"


def illegal_transitions(row: Sequence[str], scheme: Scheme) -> list[tuple[int, str, str]]:
    """`["O", "I-PER"], "BIO"` -> `[(1, "O", "I-PER")]`: (place, tag before, tag) of each transition that the scheme has not.

    The places are those of words from 0; "O" stands before the first word and after the last one.
    """
    texts = [OUTSIDE, *row, OUTSIDE]
    tags = [read_tag(text) for text in texts]
    found = []
    for place, (before, tag) in enumerate(itertools.pairwise(tags)):
        if not _is_legal(before, tag, scheme):
            found.append((place, texts[place], texts[place + 1]))
    return found


def _is_legal(before: Tag, tag: Tag, scheme: Scheme) -> bool:
    same_type = before.type == tag.type
    if scheme == "IOB1":
        return tag.prefix != BEGIN or (same_type and before.prefix in (BEGIN, INSIDE))
    is_open = before.prefix in (BEGIN, INSIDE)
    if tag.prefix in (INSIDE, END):
        return is_open and same_type
    return scheme != "BIOES" or not is_open


def _pairs(row: Sequence[str]) -> Iterable[tuple[Tag, Tag]]:
    return itertools.pairwise(read_tag(text) for text in [OUTSIDE, *row])


class TagTable(NamedTuple):
    """The tags of a label list by their ids: the place of each prefix in "OBIES", and the number of each type.

    `types`: in the order in which they occur; O has the type number len(types).
    """

    prefixes: tuple[int, ...]
    type_ids: tuple[int, ...]
    types: tuple[str, ...]


def tag_table(labels: Sequence[str]) -> TagTable:
    """`["O", "B-PER", "I-PER"]` -> `TagTable((0, 1, 2), (1, 0, 0), ("PER",))`.

    Raises:
        ValueError: a label is no tag.
    """
    tags = [read_tag(label) for label in labels]
    types = tuple(dict.fromkeys(tag.type for tag in tags if tag.prefix != OUTSIDE))
    numbers = {kind: number for number, kind in enumerate(types)} | {"": len(types)}
    order = (OUTSIDE, *PREFIXES)
    return TagTable(
        tuple(order.index(tag.prefix) for tag in tags), tuple(numbers[tag.type] for tag in tags), types
    )


def ordered_tags(tags: Iterable[str]) -> list[str]:
    """The tags as a label list: O, then the others by type and prefix. `{"I-PER", "B-LOC"}` -> `["O", "B-LOC", "I-PER"]`."""
    read = {read_tag(text) for text in tags} - {Tag(OUTSIDE, "")}
    ordered = sorted(read, key=lambda tag: (tag.type, PREFIXES.index(tag.prefix)))
    return [OUTSIDE, *(f"{tag.prefix}{_SEPARATOR}{tag.type}" for tag in ordered)]
