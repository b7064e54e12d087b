"""Texts with a tag for each word of the config's rule, made from tagged words or from spans of a text.

    from_words(["U.S.", "troops"], ["B-LOC", "O"], "whitespace_punctuation", kinds)
    # TaggedText("U.S. troops", ("B-LOC", "I-LOC", "I-LOC", "I-LOC", "O"), divided=1)
    from_spans("Paris, 3 May", [{"start": 0, "end": 5, "label": "LOC"}], "whitespace_punctuation", kinds)
    # TaggedText("Paris, 3 May", ("B-LOC", "O", "O", "O"))

A model gets raw texts, so its words are those that the rule finds in them, in training as in serving. Tags of a data set whose
words are others are carried over here, once. `kinds` is `label_kinds` of the task, which knows its tags. Errors are a ValueError
with the reason, as the end of a sentence about a row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from models.tasks.task import LabelKinds
from models.tokenizers.word_rules import WordRule, split_words

_START, _END, _LABEL, _TEXT = "start", "end", "label", "text"  # keys of a span; the last one may be missing
_MANY = 60  # characters shown of a value


class TaggedText(NamedTuple):
    """`tags`: one for each of the text's words. `divided`: how many given words the rule divides further."""

    text: str
    tags: tuple[str, ...]
    divided: int = 0


class Span(NamedTuple):
    """A span of a text, in code points; `covered` is the text that it should cover, None if the data does not say."""

    start: int
    end: int
    label: str
    covered: str | None


def from_words(words: Sequence[Any], tags: Sequence[Any], rule: WordRule, kinds: LabelKinds) -> TaggedText:
    """The words joined by spaces. A word that the rule divides gives its tag to all parts: S-LOC -> B-LOC E-LOC.

    Raises:
        ValueError: the numbers of words and tags differ, a word is empty or no text, or a tag is none.
    """
    if len(words) != len(tags):
        raise ValueError(
            f"has {len(tags):,} tags for {len(words):,} words, which begin with {_shown(words[:3])}; every word needs one tag"
        )
    parts = []
    for number, word in enumerate(words, 1):
        found = split_words(word, rule) if isinstance(word, str) and word.strip() else []
        if not found:
            raise ValueError(f"has {_shown(word)} as word {number}; a word is a text that is not empty")
        parts.append(len(found))
    return _carried_over(" ".join(words), tags, parts, kinds)


def from_tags(text: str, tags: Sequence[Any], rule: WordRule, kinds: LabelKinds) -> TaggedText:
    """The text as it is; `tags` are those of its words, or of what is between its white space, whose parts then get them.

    Raises:
        ValueError: there are more or fewer tags, or a tag is none.
    """
    words, spaced = split_words(text, rule), split_words(text, "whitespace")
    if len(tags) == len(words):
        return _carried_over(text, tags, [1] * len(words), kinds)
    if len(tags) != len(spaced):
        raise ValueError(
            f"has {len(tags):,} tags for a text of {len(spaced):,} words between white space ({len(words):,} by the rule {rule}); "
            "every word needs one tag"
        )
    return _carried_over(text, tags, [len(split_words(word.text, rule)) for word in spaced], kinds)


def _carried_over(text: str, tags: Sequence[Any], parts: Sequence[int], kinds: LabelKinds) -> TaggedText:
    """The tags of words, of which each has so many parts."""
    made: list[str] = []
    for number, (tag, count) in enumerate(zip(tags, parts, strict=True), 1):
        try:
            made += kinds.of_parts(tag, count)
        except ValueError as error:
            raise ValueError(f"{error} (word {number})") from None
    return TaggedText(text, tuple(made), sum(count > 1 for count in parts))


# --- spans ------------------------------------------------------------------------------------------


def from_spans(text: str, spans: Sequence[Any], rule: WordRule, kinds: LabelKinds) -> TaggedText:
    """The text as it is, with a tag for each word.

    Args:
        text: raw.
        spans: mappings with start, end, label and perhaps text, or lists of start, end and label. Offsets are code points of
            `text`, `end` is past the last one.
        rule: what ends a word.
        kinds: of the task.

    Raises:
        ValueError: a span is malformed, outside of the text, or overlaps another one; it covers another text than it says
            (because its offsets count bytes or UTF-16 units, for example); it begins or ends inside a word.
    """
    read = sorted((_checked(_span(span), text) for span in spans), key=lambda span: span.start)
    for one, other in itertools.pairwise(read):
        if other.start < one.end:
            raise ValueError(
                f"has overlapping spans, {_named(one, text)} and {_named(other, text)}; a word has one tag, so keep one of them"
            )
    tags = list[str]()
    for span, words in itertools.groupby(_spans_of_words(text, read, rule)):
        tags += kinds.of_span(span.label if span else "", sum(1 for _ in words))
    return TaggedText(text, tuple(tags))


def _spans_of_words(text: str, spans: Sequence[Span], rule: WordRule) -> Iterator[Span | None]:
    """The span of each word, None if it is in none; the spans are in order and no two are equal."""
    left = iter(spans)
    span = next(left, None)
    for word in split_words(text, rule):
        while span is not None and span.end <= word.start:
            span = next(left, None)
        if span is None or span.start >= word.end:
            yield None
            continue
        if not (span.start <= word.start and word.end <= span.end):
            raise ValueError(_inside(span, word.text, text, rule))
        yield span


def _inside(span: Span, word: str, text: str, rule: WordRule) -> str:
    other = rule == "whitespace"
    advice = "use --words whitespace_punctuation, or correct the span" if other else "correct the span"
    return f"has the span {_named(span, text)}, which begins or ends inside the word {_shown(word)}; {advice}"


def _span(value: Any) -> Span:
    if isinstance(value, Mapping):
        missing = [key for key in (_START, _END, _LABEL) if key not in value]
        if missing:
            raise ValueError(
                f"has a span without {missing[0]!r}, {_shown(dict(value))}; a span has start, end and label"
            )
        parts, covered = [value[_START], value[_END], value[_LABEL]], value.get(_TEXT)
    elif isinstance(value, list | tuple) and len(value) == 3:
        parts, covered = list(value), None
    else:
        raise ValueError(f"has {_shown(value)} as a span; a span has start, end and label")
    start, end, label = parts
    if any(isinstance(offset, bool) or not isinstance(offset, int) for offset in (start, end)):
        raise ValueError(f"has a span from {_shown(start)} to {_shown(end)}; offsets are whole numbers")
    if not isinstance(label, str) or not label or label != label.strip() or len(label.splitlines()) > 1:
        raise ValueError(f"has a span with the label {_shown(label)}; a label is a text of one line")
    if covered is not None and not isinstance(covered, str):
        raise ValueError(f"has a span with the text {_shown(covered)}; the text of a span is a text")
    return Span(start, end, label, covered)


def _checked(span: Span, text: str) -> Span:
    """The span, if it covers words of the text, and those that it should cover."""
    if not 0 <= span.start < span.end:
        raise ValueError(f"has a span from {span.start} to {span.end}; start is at least 0 and below end")
    if span.end > len(text):
        raise ValueError(
            f"has a span to {span.end}, past the end of its text of {len(text)} characters{_hint(span, text) or '; correct the span'}"
        )
    if span.covered is not None and text[span.start : span.end] != span.covered:
        raise ValueError(
            f"has a span that covers {_named(span, text)} instead of {_shown(span.covered)}"
            f"{_hint(span, text) or '; correct its offsets'}"
        )
    if not text[span.start : span.end].strip():
        raise ValueError(f"has the span {_named(span, text)}, which covers no word; remove it")
    return span


_UNITS = {"utf-8": "bytes of UTF-8", "utf-16-le": "units of UTF-16, as in JavaScript and Java"}


def _hint(span: Span, text: str) -> str:
    """The unit in which the offsets cover the text that they should, or, if that is not known, could lie inside the text."""
    for encoding, units in _UNITS.items():
        size = 2 if encoding == "utf-16-le" else 1
        encoded = text.encode(encoding, "surrogatepass")
        if len(encoded) == size * len(text) or span.end * size > len(encoded):
            continue
        part = encoded[span.start * size : span.end * size].decode(encoding, "replace")
        if part == span.covered or (span.covered is None and span.end > len(text)):
            seem = "count" if part == span.covered else "seem to count"
            return f"; its offsets {seem} {units}: give offsets in code points, as Python's len() counts"
    return ""


def _named(span: Span, text: str) -> str:
    """`'Paris' (0-5)`."""
    return f"{_shown(text[span.start : span.end])} ({span.start}-{span.end})"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MANY else text[: _MANY - 3] + "..."
