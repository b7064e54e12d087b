"""Normalization in the graph gives what the Rust tokenizer's normalizers give."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import tensorflow as tf

from models.tokenizers.sentencepiece.charsmap import read_charsmap
from models.tokenizers.sentencepiece.graphemes import (
    CATEGORIES,
    CONJOINING,
    CONSONANT,
    CONTROL,
    EXTEND,
    LINKER,
    LV,
    LVT,
    PICTOGRAPH,
    PREPEND,
    SPACING,
    UNASSIGNED,
    ZWJ,
    L,
    T,
    V,
    _categories,
    grapheme_categories,
)
from models.tokenizers.sentencepiece.normalization import normalized
from models.tokenizers.sentencepiece.normalize import normalize
from models.tokenizers.sentencepiece.steps import (
    Normalizer,
    Precompiled,
    Prepend,
    Replace,
    Strip,
    Unicode,
)
from tests.support.full import FULL, cases, only_full
from tests.support.sentencepiece import charsmap
from tests.support.unicode_texts import generated_texts

CODE_POINTS = [*range(0xD800), *range(0xE000, 0x110000)]
PRECOMPILED: tuple[Normalizer, ...] = (Precompiled(charsmap()),)
ALBERT: tuple[Normalizer, ...] = (
    Replace("``", '"'),
    Unicode("NFKD"),
    Unicode("StripAccents"),
    Unicode("Lowercase"),
    *PRECOMPILED,
    Replace(" {2,}", " ", is_regex=True),
)


def in_graph(steps: Sequence[Normalizer], texts: Sequence[str]) -> list[str]:
    return [text.decode() for text in _graph(tuple(steps))(tf.constant(list(texts), tf.string)).numpy()]


@functools.cache
def _graph(steps: tuple[Normalizer, ...]) -> Callable[[tf.Tensor], tf.Tensor]:
    return tf.function(
        lambda texts: normalize(texts, steps), input_signature=[tf.TensorSpec([None], tf.string)]
    )


def differences(steps: Sequence[Normalizer], texts: Sequence[str]) -> list[tuple[str, str, str]]:
    """(text, ours, the Rust tokenizer's) of every text where they differ."""
    rows = (
        (text, ours, normalized(steps, text))
        for text, ours in zip(texts, in_graph(steps, texts), strict=True)
    )
    return [row for row in rows if row[1] != row[2]]


@pytest.mark.parametrize(
    ("steps", "text", "expected"),
    [
        ([Replace("``", '"')], "``a` `b", '"a` `b'),
        ([Replace("a.b", "\\1")], "a.b axb", "\\1 axb"),
        ([Replace(" {2,}", "▁", is_regex=True)], "a  b c   ", "a▁b c▁"),
        ([Strip(True, False)], "\u3000\t a \x85", "a \x85"),
        ([Strip(False, True)], " a \u2028", " a"),
        ([Strip(True, True)], " \n ", ""),
        ([Prepend("▁")], "a", "▁a"),
        ([Prepend("▁")], "", ""),
        ([Unicode("Lowercase")], "ÀİẞΣ", "ài̇ßσ"),
        ([Unicode("NFKD"), Unicode("StripAccents")], "Éﬁ½한", "Efi1⁄2\u1112\u1161\u11ab"),
        ([Unicode("NFD")], "a\u0301\u0323", "a\u0323\u0301"),
        ([Unicode("Nmt")], "a\u200bb\x01c\ufeff", "a bc "),
        (PRECOMPILED, "Ａ½\t™", "A1⁄2 TM"),
        (PRECOMPILED, "e\u0301", "é"),
        (PRECOMPILED, "Ａ\u0301", "A"),  # the Rust tokenizer loses the accent
        (PRECOMPILED, "Ａ\u0301\u0301", "A\u0301\u0301"),  # a cluster of seven bytes
        (PRECOMPILED, "\r\n", " "),
        (ALBERT, "``ÀＢ  ", '"ab '),
    ],
)
def test_step_does_what_the_rust_tokenizer_does(steps: list[Normalizer], text: str, expected: str) -> None:
    assert in_graph(steps, [text, f"x{text}", ""]) == [normalized(steps, t) for t in (text, f"x{text}", "")]
    assert in_graph(steps, [text]) == [expected]


@pytest.mark.parametrize(
    "steps",
    [PRECOMPILED, ALBERT, (Unicode("NFKD"), Unicode("Lowercase"), Unicode("Nmt"))],
    ids=["Precompiled", "ALBERT", "NFKD kept"],
)
def test_code_points_alone_and_before_marks_becomes_the_same(steps: tuple[Normalizer, ...]) -> None:
    codes = CODE_POINTS if FULL else _changing()
    rows = [codes[start : start + 256] for start in range(0, len(codes), 256)]
    texts = ["".join(f"{chr(c)}\u200b" for c in row) for row in rows]
    texts += ["".join(f"e{chr(c)}\u0301\u0323x" for c in row) for row in rows]
    assert differences(steps, texts) == []


@pytest.mark.parametrize("steps", [PRECOMPILED, ALBERT], ids=["Precompiled", "ALBERT"])
def test_texts_of_marks_joiners_and_mapped_characters_become_the_same(steps: tuple[Normalizer, ...]) -> None:
    texts = [_clusters(random.Random(seed)) for seed in range(cases(800, 40_000))]
    assert differences(steps, texts + generated_texts(cases(300, 20_000), seed=11)) == []


def _clusters(rng: random.Random) -> str:
    """Characters of every category, and those that the map has alone or together."""
    kinds, (alone, together) = _by_category(), _mapped()
    pieces = []
    for _ in range(rng.randint(1, 10)):
        kind = rng.random()
        if kind < 0.3:
            pieces.append(rng.choice(alone))
        elif kind < 0.5:
            pieces.append(rng.choice(together))
        elif kind < 0.9:
            pieces.append(chr(rng.choice(kinds[rng.randrange(len(kinds))])))
        else:
            pieces.append(rng.choice("abe ®©™क्"))
    return "".join(pieces)


@functools.cache
def _changing() -> list[int]:
    """Code points that the map has or that are in clusters with others, and all below U+3000."""
    changing = {*range(0x3000), *(ord(text[0]) for texts in _mapped() for text in texts)}
    return sorted(changing.union(*(codes[:500] for codes in _by_category())))


@functools.cache
def _by_category() -> list[list[int]]:
    categories = grapheme_categories()
    categories = np.where((np.arange(len(categories)) >> 11) == 0x1B, -1, categories)  # without surrogates
    return [np.flatnonzero(categories == kind).tolist() for kind in range(1, CATEGORIES)]


@functools.cache
def _mapped() -> tuple[list[str], list[str]]:
    step = PRECOMPILED[0]
    assert isinstance(step, Precompiled)
    read = read_charsmap(step.charsmap)
    return [*map(chr, read.characters)], [*read.clusters]


def test_categories_are_those_of_unicode() -> None:
    categories = grapheme_categories()
    known = {
        0x300: CONJOINING,
        0x94D: LINKER,
        0x200C: EXTEND,
        0x200D: ZWJ,
        0x903: SPACING,
        0x600: PREPEND,
        0x200B: CONTROL,
        0x1100: L,
        0x1161: V,
        0x11A8: T,
        0xAC00: LV,
        0xAC01: LVT,
        0x915: CONSONANT,
        0x1F600: PICTOGRAPH,
    }
    assert {code: categories[code] for code in known} == known


@only_full
def test_planes_without_a_character_have_one_category() -> None:
    codes = np.arange(UNASSIGNED.start, UNASSIGNED.stop)
    padded = np.concatenate([np.arange(UNASSIGNED.start), codes])  # `_categories` counts from 0
    assert set(_categories(padded)[UNASSIGNED.start :].tolist()) == {0}
