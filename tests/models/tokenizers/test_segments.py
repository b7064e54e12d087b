"""Added tokens are found, and take white space along, as the Rust tokenizer does it."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tokenizers import AddedToken, Tokenizer, models

from models.errors import CheckpointError
from models.tokenizers.added_tokens import FoundToken, found_tokens
from models.tokenizers.segments import passes, tokenize_between

SEGMENT = 1000  # and its length in characters: the id that a segment gets here
FILE = Path("encoder/tokenizer.json")


def in_graph(texts: Sequence[str], tokens: Sequence[FoundToken]) -> list[list[int]]:
    def lengths(segments: tf.Tensor) -> tf.RaggedTensor:
        count = tf.cast(tf.strings.length(segments, "UTF8_CHAR"), tf.int64)[:, tf.newaxis]
        return tf.ragged.boolean_mask(SEGMENT + count, count > 0)

    tokenize: Callable[[tf.Tensor], tf.RaggedTensor] = lengths
    for found in reversed(passes(tokens)):
        tokenize = functools.partial(tokenize_between, tokens=found, tokenize=tokenize)
    return tokenize(tf.constant(texts, tf.string)).to_list()


def in_rust(texts: Sequence[str], tokens: Sequence[FoundToken]) -> list[list[int]]:
    tokenizer = Tokenizer(models.WordLevel({"[unknown]": 0}, unk_token="[unknown]"))
    for token in tokens:
        flags = {"lstrip": token.lstrip, "rstrip": token.rstrip, "normalized": token.normalized}
        assert tokenizer.add_tokens([AddedToken(token.content, **flags)]) == 1
    return [
        [index or SEGMENT + end - start for index, (start, end) in zip(row.ids, row.offsets, strict=True)]
        for row in tokenizer.encode_batch(list(texts))
    ]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a <mask> b", [1001, 1, 1002]),
        ("a <mask></s> b", [1001, 1, 2, 1002]),
        ("a </s> b", [1002, 2, 1002]),
        ("\u3000\u00a0<mask>", [1]),
        ("a\u200b<mask>", [1002, 1]),
        ("<mask><mask>  <mask>", [1, 1, 1]),
        ("<url>x", [3, 1001]),
        ("<url>>  x", [4, 1001]),
        ("<mask <url> >", [1006, 3, 1002]),
        ("", []),
        (" ", [1001]),
        ("plain", [1005]),
    ],
)
def test_texts_are_cut_at_these_places(text: str, ids: list[int]) -> None:
    tokens = (
        FoundToken("<mask>", 1, lstrip=True),
        FoundToken("</s>", 2),
        FoundToken("<url>", 3),
        FoundToken("<url>>", 4, rstrip=True),
    )
    rust = in_rust([text], tokens)
    assert in_graph([text], tokens) == rust
    assert [[index for index in row if index != SEGMENT] for row in rust] == [ids]


def test_tokens_of_normalized_text_are_found_in_what_the_others_leave() -> None:
    tokens = (FoundToken("ab", 1, normalized=True), FoundToken("bc", 2), FoundToken("b", 3, normalized=True))
    assert in_graph(["abc", "abab", "xb bc"], tokens) == [[1001, 2], [1, 1], [1001, 3, 1001, 2]]
    assert in_rust(["abc", "abab", "xb bc"], tokens) == [[1001, 2], [1, 1], [1001, 3, 1001, 2]]


def test_both_kinds_are_found_in_one_pass_where_they_cannot_meet() -> None:
    mask, end = FoundToken("<mask>", 1, lstrip=True), FoundToken("</s>", 2, normalized=True)
    assert passes([mask, end]) == [(mask, end)]
    meeting = FoundToken(">x", 3, normalized=True)
    assert passes([mask, end, meeting]) == [(mask,), (end, meeting)]
    spaced = FoundToken("a b", 3, normalized=True)
    assert passes([mask, end, spaced]) == [(mask,), (end, spaced)]
    assert passes([]) == []


def test_without_tokens_a_text_is_one_segment() -> None:
    assert in_graph(["a b", ""], ()) == [[1003], []]


def test_a_batch_without_rows_has_none() -> None:
    assert in_graph([], (FoundToken("a", 1),)) == []


@pytest.mark.parametrize("seed", range(20))
def test_random_tokens_are_found_in_random_texts_as_rust_finds_them(seed: int) -> None:
    rng = random.Random(seed)
    letters = "<>ab \n\u3000é.*"
    contents = {"".join(rng.choices(letters, k=rng.randint(1, 4))) for _ in range(6)}
    added = [
        {"content": content, "id": index, "special": False, "single_word": False}
        | {flag: rng.random() < 0.3 for flag in ("lstrip", "rstrip", "normalized")}
        for index, content in enumerate(sorted(contents), start=1)
    ]
    accepted: list[dict[str, Any]] = []
    for token in added:  # those that are refused beside the others are left out
        try:
            found_tokens("test", FILE, {"added_tokens": [*accepted, token]})
        except CheckpointError:
            continue
        accepted.append(token | {"id": len(accepted) + 1})
    tokens = found_tokens("test", FILE, {"added_tokens": accepted})
    texts = ["".join(rng.choices(letters, k=rng.randint(0, 20))) for _ in range(500)]
    assert tokens
    assert in_graph(texts, tokens) == in_rust(texts, tokens)


def added(content: str, index: int, **flags: bool) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"content": content, "id": index, **plain, **flags}


def test_tokens_come_with_their_flags_by_id() -> None:
    state = {"added_tokens": [added("<mask>", 4, lstrip=True), added("<s>", 0, normalized=True)]}
    assert found_tokens("BPE", FILE, state) == (
        FoundToken("<s>", 0, normalized=True),
        FoundToken("<mask>", 4, lstrip=True),
    )


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (
            [added("who", 1, single_word=True)],
            "added token 'who' single_word is True; in-graph BPE reproduces only false",
        ),
        (
            [added("<mask>", 1, lstrip=True), added("\n", 2)],
            "added token '<mask>' lstrip is True; in-graph BPE reproduces only false beside the added token '\\n', which "
            "has white space at an end",
        ),
        (
            [added("<m>", 1, lstrip=True), added("<m>>", 2)],
            "added token '<m>' lstrip is True; in-graph BPE reproduces only false beside the added token '<m>>', which "
            "begins with it",
        ),
        (
            [added(f"<{i}>", i) for i in range(1001)],
            "the number of added tokens is 1001; in-graph BPE reproduces only up to 1000",
        ),
    ],
)
def test_tokens_that_would_be_found_otherwise_are_refused(tokens: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(CheckpointError) as error:
        found_tokens("BPE", FILE, {"added_tokens": tokens})
    assert str(error.value) == f"{FILE}: {message}"


def test_1000_tokens_are_found() -> None:
    tokens = [FoundToken(f"<extra_{i}>", i, lstrip=i % 2 == 0) for i in range(1, 1001)]
    assert in_graph(["a <extra_10> <extra_999><extra_1000>"], tokens) == [[1001, 10, 1001, 999, 1000]]
