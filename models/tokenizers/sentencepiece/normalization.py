"""The normalizers of a tokenizer as tables: what a graph looks up for each code point. No TensorFlow here.

    plan((Replace("``", '"'), Unicode("NFKD"), Unicode("StripAccents"), Precompiled(...)))
    # (Replace("``", '"'), Characters((Mapped(...), Clustered(...)), plain=" !#...", lowers=False))

What `tokenizers` makes of each code point is asked once; the graph has no Unicode tables of its own, so other versions of
Unicode, in TensorFlow or in a serving binary, have no effect.
"""

from __future__ import annotations

import base64
import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from models.tokenizers.sentencepiece.characters import changed_characters, combining_classes
from models.tokenizers.sentencepiece.charsmap import read_charsmap
from models.tokenizers.sentencepiece.graphemes import grapheme_categories
from models.tokenizers.sentencepiece.spans import PagedTable, Spans, paged, span_table
from models.tokenizers.sentencepiece.steps import (
    Normalizer,
    Precompiled,
    Prepend,
    Replace,
    Strip,
    Unicode,
)

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer as RustNormalizer

BITS = 21  # of a code point, in the key of a cluster
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


@dataclass(frozen=True, eq=False)
class Mapped:
    """Each code point becomes what `spans` says."""

    spans: Spans


@dataclass(frozen=True, eq=False)
class Clustered:
    """Grapheme clusters of less than six bytes become a text as a whole, others character by character.

    `spans`: what characters become; its numbers also name the texts of clusters. A cluster that begins with such a
    character becomes the same. Else it is looked for in `keys`, sorted int64: its first two code points, then all three, each
    of BITS bits; `numbers`, int32, are the texts. `categories`: see graphemes.py.
    """

    spans: Spans
    keys: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int32]
    categories: PagedTable


@dataclass(frozen=True, eq=False)
class Sorted:
    """Neighbouring marks are sorted by their combining class, 0 of what is none."""

    classes: PagedTable


CodeStep: TypeAlias = "Mapped | Clustered | Sorted"


@dataclass(frozen=True, eq=False)
class Characters:
    """Steps over code points. Texts of `plain` characters alone stay as they are, or are only made lower-case."""

    steps: tuple[CodeStep, ...]
    plain: str
    lowers: bool


Stage: TypeAlias = "Replace | Strip | Prepend | Characters"


@functools.lru_cache(maxsize=8)
def plan(steps: tuple[Normalizer, ...]) -> tuple[Stage, ...]:
    """The stages of a graph that does the same; two seconds, then kept."""
    stages: list[Stage] = []
    for is_code, group in itertools.groupby(steps, key=lambda step: isinstance(step, Unicode | Precompiled)):
        if not is_code:
            stages += [step for step in group if not isinstance(step, Unicode | Precompiled)]
            continue
        of_codes = tuple(group)
        stages.append(Characters(tuple(_code_steps(of_codes)), *_plain(of_codes)))
    return tuple(stages)


def normalized(steps: Sequence[Normalizer], text: str) -> str:
    """What the Rust tokenizer makes of a text."""
    return _rust(tuple(steps)).normalize_str(text)


@functools.lru_cache(maxsize=8)
def _rust(steps: tuple[Normalizer, ...]) -> RustNormalizer:
    from tokenizers import Regex, normalizers

    def one(step: Normalizer) -> RustNormalizer:
        match step:
            case Unicode(name):
                return getattr(normalizers, name)()
            case Replace(pattern, content, is_regex):
                return normalizers.Replace(Regex(pattern) if is_regex else pattern, content)
            case Strip(left, right):
                return normalizers.Strip(left, right)
            case Prepend(prefix):
                return normalizers.Prepend(prefix)
            case Precompiled(charsmap):
                return normalizers.Precompiled(base64.b64decode(charsmap))

    return normalizers.Sequence([one(step) for step in steps])


def _plain(steps: tuple[Normalizer, ...]) -> tuple[str, bool]:
    """Printable ASCII characters that the steps leave, or make lower-case, and whether they do."""
    normalize = _rust(steps).normalize_str
    lowers = normalize("A") == "a"
    return "".join(c for c in PRINTABLE if normalize(c) == (c.lower() if lowers else c)), lowers


def _code_steps(steps: Sequence[Normalizer]) -> Iterator[CodeStep]:
    names: list[str] = []
    for step, after in itertools.zip_longest(steps, steps[1:]):
        if isinstance(step, Precompiled):
            yield _clustered(step)
        if not isinstance(step, Unicode):
            continue
        names.append(step.name)
        # All marks that are sorted are stripped as accents.
        is_sorted = step.name in ("NFD", "NFKD") and after != Unicode("StripAccents")
        if is_sorted or not isinstance(after, Unicode):
            yield Mapped(span_table(changed_characters(tuple(names))))
            names = []
        if is_sorted:
            yield Sorted(paged(combining_classes()))


@functools.lru_cache(maxsize=8)
def _clustered(step: Precompiled) -> Clustered:
    read = read_charsmap(step.charsmap)
    spans = span_table(read.characters, read.clusters.values())
    keys = np.array([cluster_key(text) for text in read.clusters], np.int64)
    numbers = np.array([spans.numbers[text] for text in read.clusters.values()], np.int32)
    order = np.argsort(keys)
    return Clustered(spans, keys[order], numbers[order], paged(grapheme_categories()))


def cluster_key(text: str) -> int:
    """`"e\\u0301"` -> 0x65 << 42 | 0x301 << 21: two or three code points of BITS bits; no third one is 0."""
    first, second, third = (*map(ord, text), 0)[:3]
    return first << 2 * BITS | second << BITS | third
