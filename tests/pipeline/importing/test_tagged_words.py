"""Tags for the words of a rule, from other words or from spans; what cannot be carried over is refused."""

from __future__ import annotations

from typing import Any

import pytest

from models.tasks.token_labels import label_kinds
from models.tokenizers.word_rules import WordRule, split_words
from pipeline.importing import tagged_words
from pipeline.importing.tagged_words import TaggedText

PUNCTUATION: WordRule = "whitespace_punctuation"


def from_words(words: list[Any], tags: list[Any], rule: WordRule) -> TaggedText:
    return tagged_words.from_words(words, tags, rule, label_kinds)


def from_tags(text: str, tags: list[Any], rule: WordRule) -> TaggedText:
    return tagged_words.from_tags(text, tags, rule, label_kinds)


def from_spans(text: str, spans: list[Any], rule: WordRule) -> TaggedText:
    return tagged_words.from_spans(text, spans, rule, label_kinds)


# --- words ------------------------------------------------------------------------------------------


def test_words_that_the_rule_keeps_keep_their_tags() -> None:
    made = from_words(["Peter", "Blackburn", "sings"], ["B-PER", "I-PER", "O"], PUNCTUATION)
    assert made == TaggedText("Peter Blackburn sings", ("B-PER", "I-PER", "O"))


@pytest.mark.parametrize(
    ("tag", "tags"),
    [
        ("O", ("O", "O", "O", "O")),
        ("B-LOC", ("B-LOC", "I-LOC", "I-LOC", "I-LOC")),
        ("I-LOC", ("I-LOC", "I-LOC", "I-LOC", "I-LOC")),
        ("E-LOC", ("I-LOC", "I-LOC", "I-LOC", "E-LOC")),
        ("S-LOC", ("B-LOC", "I-LOC", "I-LOC", "E-LOC")),
    ],
)
def test_a_word_that_the_rule_divides_gives_its_tag_to_all_parts(tag: str, tags: tuple[str, ...]) -> None:
    assert from_words(["U.S."], [tag], PUNCTUATION) == TaggedText("U.S.", tags, divided=1)
    assert from_words(["U.S."], [tag], "whitespace") == TaggedText("U.S.", (tag,))


def test_words_with_white_space_are_divided_there() -> None:
    made = from_words(["New\u00a0York", "!"], ["B-LOC", "O"], "whitespace")
    assert made == TaggedText("New\u00a0York !", ("B-LOC", "I-LOC", "O"), divided=1)
    assert len(split_words(made.text, "whitespace")) == 3


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        (
            ["a", "b"],
            ["O"],
            r"has 1 tags for 2 words, which begin with \['a', 'b'\]; every word needs one tag",
        ),
        (["a", ""], ["O", "O"], "has '' as word 2; a word is a text that is not empty"),
        (["a", None], ["O", "O"], "has None as word 2; a word is a text"),
        (["\u3000"], ["O"], r"has '\\u3000' as word 1; a word is a text that is not empty"),
        (["a"], [3], r"has the tag 3 \(int\); write tags as texts, such as B-PER \(word 1\)"),
        (
            ["a"],
            ["PER"],
            r"has a wrong tag: 'PER' is no tag: a tag is O, or B, I, E or S with a type, such as B-PER \(word 1\)",
        ),
    ],
)
def test_words_and_tags_that_do_not_fit_are_refused(words: list[Any], tags: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_words(words, tags, PUNCTUATION)


# --- a text and tags ----------------------------------------------------------------------------------


def test_tags_of_a_text_are_those_of_its_words_or_of_what_is_between_white_space() -> None:
    made = from_tags("in the U.S. now", ["O", "O", "S-LOC", "O"], PUNCTUATION)
    assert made == TaggedText(
        "in the U.S. now", ("O", "O", "B-LOC", "I-LOC", "I-LOC", "E-LOC", "O"), divided=1
    )
    assert from_tags("Lima, now", ["B-LOC", "O", "O"], PUNCTUATION).tags == ("B-LOC", "O", "O")
    assert from_tags(" a  b\n", [" B-X", "O "], "whitespace") == TaggedText(" a  b\n", ("B-X", "O"))


def test_more_or_fewer_tags_than_words_of_a_text_are_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"has 1 tags for a text of 2 words between white space \(4 by the rule whitespace_punctuation\)",
    ):
        from_tags("Lima, now.", ["B-LOC"], PUNCTUATION)


# --- spans ------------------------------------------------------------------------------------------


def test_spans_give_tags_to_the_words_that_they_cover() -> None:
    text = "Paris, 3 May: U.S. talks"
    spans = [
        {"start": 14, "end": 18, "label": "ORG", "text": "U.S."},
        {"start": 0, "end": 5, "label": "LOC"},
        [7, 12, "DATE"],
    ]
    made = from_spans(text, spans, PUNCTUATION)
    assert made.text == text
    assert list(zip([word.text for word in split_words(text, PUNCTUATION)], made.tags, strict=True)) == [
        ("Paris", "B-LOC"),
        (",", "O"),
        ("3", "B-DATE"),
        ("May", "I-DATE"),
        (":", "O"),
        ("U", "B-ORG"),
        (".", "I-ORG"),
        ("S", "I-ORG"),
        (".", "I-ORG"),
        ("talks", "O"),
    ]


def test_neighbouring_spans_of_one_type_stay_apart() -> None:
    assert from_spans("a b c", [[0, 1, "X"], [2, 5, "X"]], "whitespace").tags == ("B-X", "B-X", "I-X")
    assert from_spans("ab", [], "whitespace").tags == ("O",)
    # White space at its ends belongs to no word.
    assert from_spans("a b", [[1, 3, "X"]], "whitespace").tags == ("O", "B-X")


TEXT = "naïve 👍 café"  # é takes two bytes, 👍 four bytes and two units of UTF-16


@pytest.mark.parametrize(
    ("span", "message"),
    [
        (
            {"start": 12, "end": 17, "label": "X", "text": "café"},
            r"past the end of its text of 12 characters; its offsets count bytes of UTF-8: give offsets in code points",
        ),
        (
            {"start": 9, "end": 13, "label": "X", "text": "café"},
            r"past the end of its text of 12 characters; its offsets count units of UTF-16, as in JavaScript and Java: give",
        ),
        (
            {"start": 7, "end": 11, "label": "X", "text": "👍"},
            r"covers ' caf' \(7-11\) instead of '👍'; its offsets count bytes of UTF-8: give offsets in code points",
        ),
        (
            [9, 13, "X"],
            r"to 13, past the end of its text of 12 characters; its offsets seem to count bytes of UTF-8",
        ),
        ([9, 99, "X"], "to 99, past the end of its text of 12 characters; correct the span"),
        (
            {"start": 0, "end": 4, "label": "X", "text": "naïve"},
            r"covers 'naïv' \(0-4\) instead of 'naïve'; correct its offsets",
        ),
        ([-1, 4, "X"], "a span from -1 to 4; start is at least 0 and below end"),
        ([4, 4, "X"], "a span from 4 to 4; start is at least 0 and below end"),
        ([5, 6, "X"], r"the span ' ' \(5-6\), which covers no word; remove it"),
        (
            [1, 5, "X"],
            r"the span 'aïve' \(1-5\), which begins or ends inside the word 'naïve'; correct the span",
        ),
        ({"start": 0, "end": 5}, "a span without 'label'"),
        ([0, 5], r"has \[0, 5\] as a span; a span has start, end and label"),
        ([0.0, 5, "X"], "a span from 0.0 to 5; offsets are whole numbers"),
        ([0, 5, "A\nB"], r"with the label 'A\\nB'; a label is a text of one line"),
        ({"start": 0, "end": 5, "label": "X", "text": 3}, "with the text 3; the text of a span is a text"),
    ],
)
def test_spans_that_do_not_fit_their_text_are_refused(span: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_spans(TEXT, [span], PUNCTUATION)


def test_overlapping_spans_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"overlapping spans, 'a b' \(0-3\) and 'b c' \(2-5\); .* keep one of them"
    ):
        from_spans("a b c", [[2, 5, "Y"], [0, 3, "X"]], "whitespace")


def test_a_span_that_ends_before_punctuation_asks_for_the_other_rule() -> None:
    with pytest.raises(ValueError, match=r"inside the word 'Paris,'; use --words whitespace_punctuation"):
        from_spans("Paris, May", [[0, 5, "LOC"]], "whitespace")
