"""Reads the tags of a row's words for `import`, and tags the words of spans and the parts of words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from models.tasks.importing import BETWEEN, LabelForm, Misfit
from models.tasks.token_labels.tags import BEGIN, END, INSIDE, OUTSIDE, SINGLE, Tag, ordered_tags, read_tag

FEWEST_LABELS = 2
TAKES_FORM = False


def parse(value: Any, form: LabelForm) -> str:
    """The tags of a row's words, in their order: `["B-PER", "O"] -> "B-PER\\nO"`.

    Raises:
        ValueError: with the reason, as the end of a sentence.
    """
    del form
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list of tags, got {type(value).__name__}")
    return BETWEEN.join(_written(_tag(tag)) for tag in value)


def _tag(value: Any) -> Tag:
    if not isinstance(value, str):
        raise ValueError(
            f"has the tag {value!r} ({type(value).__name__}); write tags as texts, such as B-PER"
        )
    try:
        tag = read_tag(value.strip())
    except ValueError as error:
        raise ValueError(f"has a wrong tag: {error}") from None
    if len(tag.type.splitlines()) > 1:
        raise ValueError(f"has the tag {value[:40]!r}, which has several lines; correct it")
    return tag


def _written(tag: Tag) -> str:
    return OUTSIDE if tag.prefix == OUTSIDE else f"{tag.prefix}-{tag.type}"


def counted(text: str, name: str) -> Sequence[str]:
    """The different tags of a row: `"O\\nB-PER\\nO" -> ["O", "B-PER"]`."""
    del name
    return list(dict.fromkeys(_tags(text)))


def stored(text: str) -> Sequence[bytes]:
    """The values of the label column, one for each word: `"B-PER\\nO" -> [b"B-PER", b"O"]`."""
    return [tag.encode() for tag in _tags(text)]


def _tags(text: str) -> list[str]:
    return text.split(BETWEEN) if text else []


def number(text: str) -> float | None:
    """None: tags are not numbers."""
    del text
    return None


def ordered(labels: Iterable[str]) -> list[str]:
    """The label list: O, then the other tags by type: `{"I-PER", "B-PER"} -> ["O", "B-PER", "I-PER"]`."""
    return ordered_tags(labels)


def of_parts(label: Any, parts: int) -> list[str]:
    """The tags of a word's parts: `"E-LOC", 3 -> ["I-LOC", "I-LOC", "E-LOC"]`, `"S-LOC", 2 -> ["B-LOC", "E-LOC"]`.

    Raises:
        ValueError: it is no tag, with the reason as the end of a sentence.
    """
    tag = _tag(label)
    if parts == 1 or tag.prefix == OUTSIDE:
        return [_written(tag)] * parts
    first = BEGIN if tag.prefix in (BEGIN, SINGLE) else INSIDE
    last = END if tag.prefix in (END, SINGLE) else INSIDE
    return [_written(Tag(prefix, tag.type)) for prefix in (first, *[INSIDE] * (parts - 2), last)]


def of_span(name: str, words: int) -> list[str]:
    """The tags of a span's words in BIO: `"LOC", 2 -> ["B-LOC", "I-LOC"]`, `"", 2 -> ["O", "O"]`."""
    return of_parts(_written(Tag(BEGIN, name) if name else Tag(OUTSIDE, "")), words)


def not_labels(counts: Mapping[str, int]) -> Misfit | None:
    """`{"O": 7}` -> no word is in a span."""
    if not counts or set(counts) != {OUTSIDE}:
        return None
    return Misfit(
        "has only words outside of spans (tag O): there is nothing to learn; is it the label column?"
    )


def suspicions(counts: Mapping[str, int]) -> Iterator[str]:
    """None."""
    del counts
    yield from ()
