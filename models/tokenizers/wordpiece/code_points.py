"""A table of what BERT's normalizer and pre-tokenizer do to every Unicode code point.

Clean-up, spaces around CJK, NFD without accents, lower-casing and splitting at white space and
punctuation all depend on a single code point. So the Rust tokenizer itself is called once for each of the
1,112,064 code points, and the graph only looks up the results: it needs no Unicode tables, and differences
between Unicode versions (of Rust, ICU or a serving binary) have no effect.

The only step that depends on neighbours is NFD's sorting of combining marks. It matters only if two marks
that survive the stripping, of different combining classes and both in the vocabulary, are adjacent;
`reordered_marks` finds such pairs of a vocabulary (BERT's English one has none).

The table writes text in a small private alphabet: printable ASCII unchanged, every other character of
the vocabulary as a private-use stand-in, every character outside the vocabulary as UNKNOWN.
Spaces mark all splits, so that later steps handle only ASCII. Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import normalizers, pre_tokenizers

from models.errors import PipelineError
from models.tokenizers.wordpiece.spec import RESERVED, WordpieceSpec

_log = logging.getLogger(__name__)

CODE_POINTS = 0x110000
SURROGATES = range(0xD800, 0xE000)
PAGE = 256
BATCH = 4096  # code points per call of the Rust tokenizer

# Letters for every reader (category Co), so nothing splits at them.
PRIVATE_USE = [*range(0xE000, 0xF900), *range(0xF0000, 0xFFFFE)]
UNKNOWN = chr(PRIVATE_USE[0])  # one character that is in no vocabulary entry
UNREACHABLE = chr(PRIVATE_USE[1])  # starts the entries that no text can give

PREFIX = "##"  # what `CodePointTable.vocab` writes before a continuing piece

# Special tokens found in raw text become these before the table is applied; such characters in the text become
# NEUTRAL, which Hugging Face treats the same way (both private use), so a text cannot forge a special token.
MARKERS = RESERVED[:-1]
NEUTRAL = RESERVED[-1]

LETTER, ISOLATED, SPACE = 0, 1, 2


@dataclass(frozen=True)
class CodePointTable:
    """Code point c becomes `codes[splits[s]:splits[s + 1]]` with `s = cells[pages[c >> 8], c & 255]`.

    int32 (`splits` int64): `pages` [4352], `cells` [pages, 256], `splits` [spans + 1], `codes` [...]. `vocab` is the
    vocabulary in the same alphabet, with added tokens and unreachable entries replaced and ids unchanged; after its
    end are special tokens that are also words, with `second_ids`. `found` are the added tokens that are searched
    after normalization: (form in this alphabet, replacement).
    """

    pages: npt.NDArray[np.int32]
    cells: npt.NDArray[np.int32]
    splits: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int32]
    vocab: tuple[str, ...]
    second_ids: tuple[int, ...] = ()
    found: tuple[tuple[str, str], ...] = ()

    def spell(self, text: str) -> str:
        """Does in Python what the graph does to `text`: `"Café, 中"` -> `"cafe, <stand-in>"`."""
        spans = [self.cells[self.pages[ord(c) >> 8], ord(c) & 255] for c in text]
        return "".join(chr(code) for s in spans for code in self.codes[self.splits[s] : self.splits[s + 1]])


@functools.lru_cache(maxsize=8)
def code_point_table(spec: WordpieceSpec) -> CodePointTable:
    """Builds the table for one tokenization, in about a second, and caches it.

    Raises:
        PipelineError: the vocabulary uses more characters than there are stand-ins.
    """
    kinds = character_kinds()
    stand_ins, tokens = _stand_ins(spec, kinds)
    if swapped := reordered_marks(spec):
        _log.warning(
            "token ids may differ from Hugging Face's where these marks stand side by side: %a", swapped
        )
    markers = {MARKERS[i]: f" {tokens[token]} " for i, (token, _) in enumerate(spec.special_tokens)}
    spans, cells = _spans_and_cells(spec, kinds, stand_ins, markers)
    unique, pages = np.unique(cells.reshape(-1, PAGE), axis=0, return_inverse=True)
    vocab, second_ids = _recoded_vocab(spec, kinds, stand_ins, tokens)
    table = CodePointTable(
        pages=pages.reshape(-1).astype(np.int32),
        cells=unique,
        splits=np.cumsum([0, *map(len, spans)], dtype=np.int64),
        codes=np.array([ord(c) for spelling in spans for c in spelling], np.int32),
        vocab=vocab,
        second_ids=second_ids,
    )
    found = ((table.spell(token), f" {tokens[token]} ") for token, _ in spec.normalized_tokens)
    return dataclasses.replace(table, found=tuple(found))


@functools.lru_cache(maxsize=8)
def normalized_code_points(
    clean_text: bool, handle_chinese_chars: bool, strip_accents: bool, lower_case: bool
) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """The Rust BertNormalizer's result for each code point, and the results that are not one character.

    `[ord("É")]` -> `ord("e")`; for several characters or none: -1 - index into the texts, so `[0]` -> -1 for
    `""`. int32 [0x110000]. Surrogates, which do not occur in UTF-8, count as U+FFFD, to which they are decoded.
    """
    normalizer = normalizers.BertNormalizer(clean_text, handle_chinese_chars, strip_accents, lower_case)
    separator = "\u2581"  # unchanged by every setting, a starter, and not the result of any other code point
    asked = [chr(c) if c not in SURROGATES else "\ufffd" for c in range(CODE_POINTS)]
    asked[ord(separator)] = "a"  # put right below
    texts: dict[str, int] = {"": 0}
    answers = np.empty(CODE_POINTS, np.int32)
    for start in range(0, CODE_POINTS, BATCH):
        joined = separator.join(asked[start : start + BATCH])
        pieces = normalizer.normalize_str(joined).split(separator)
        coded = (ord(p) if len(p) == 1 else -1 - texts.setdefault(p, len(texts)) for p in pieces)
        answers[start : start + BATCH] = np.fromiter(coded, np.int32, BATCH)
    answers[ord(separator)] = ord(normalizer.normalize_str(separator))
    return answers, tuple(texts)


@functools.lru_cache(maxsize=1)
def character_kinds() -> npt.NDArray[np.uint8]:
    """How BertPreTokenizer treats each (normalized) code point: LETTER, ISOLATED (a word alone) or SPACE.

    `[ord("a")]` -> LETTER, `[ord("!")]` -> ISOLATED, `[ord(" ")]` -> SPACE. uint8 [0x110000].
    """
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    kinds = np.full(CODE_POINTS, SPACE, np.uint8)
    for start in range(0, CODE_POINTS, BATCH):
        # Every code point stands at an odd offset, between letters that it joins or parts.
        chunk = "a".join(chr(c) if c not in SURROGATES else "a" for c in range(start, start + BATCH))
        for _, (begin, end) in pre_tokenizer.pre_tokenize_str(f"a{chunk}a"):
            kinds[start + begin // 2 : start + end // 2] = ISOLATED if end - begin == 1 else LETTER
    return kinds


def reordered_marks(spec: WordpieceSpec) -> set[tuple[str, str]]:
    """Pairs of vocabulary characters that NFD swaps if they are adjacent; if there are none, the table is exact."""
    if not spec.strip_accents:
        return set()
    normalize = normalizers.BertNormalizer(*_switches(spec)).normalize_str
    written = {*"".join(spec.vocab), *_normalized_characters(spec)}
    marks = sorted(c for c in written if unicodedata.combining(c))
    pairs = itertools.product(marks, marks)
    return {(a, b) for a, b in pairs if normalize(a + b) != normalize(a) + normalize(b)}


def _switches(spec: WordpieceSpec) -> tuple[bool, bool, bool, bool]:
    return spec.clean_text, spec.handle_chinese_chars, spec.strip_accents, spec.lower_case


def _normalized_characters(spec: WordpieceSpec) -> set[str]:
    """The characters that must keep their identity because added tokens contain them."""
    normalize = normalizers.BertNormalizer(*_switches(spec)).normalize_str
    return {character for token, _ in spec.normalized_tokens for character in normalize(token)}


def _is_plain(character: str) -> bool:
    return " " <= character <= "~"


def _body(spec: WordpieceSpec, token: str) -> str:
    """`"##ing"` -> `"ing"`; the prefix alone is a word."""
    return token.removeprefix(spec.continuing_prefix) or token


def _is_reachable(spec: WordpieceSpec, token: str, kinds: npt.NDArray[np.uint8]) -> bool:
    """Whether any text can contain the word, or word part, of this entry."""
    body = _body(spec, token)
    if len(token) == 1:
        return bool(kinds[ord(token)] != SPACE)
    return body != "" and all(kinds[ord(character)] == LETTER for character in body)


def _stand_ins(spec: WordpieceSpec, kinds: npt.NDArray[np.uint8]) -> tuple[dict[str, str], dict[str, str]]:
    """Vocabulary character, and added token -> the private-use character that replaces it."""
    reachable = (token for token in spec.vocab if _is_reachable(spec, token, kinds))
    written = {*_normalized_characters(spec), *(c for token in reachable for c in _body(spec, token))}
    characters = sorted(c for c in written if not _is_plain(c))
    tokens = [token for token, _ in spec.added_tokens]
    free = PRIVATE_USE[2:]
    count = len(tokens) + len(characters)
    if count > len(free):
        raise PipelineError(
            f"the vocabulary has {count} added tokens and non-ASCII characters; at most {len(free)} fit"
        )
    codes = map(chr, free)
    return {c: next(codes) for c in characters}, {token: next(codes) for token in tokens}


def _spans_and_cells(
    spec: WordpieceSpec, kinds: npt.NDArray[np.uint8], stand_ins: dict[str, str], markers: dict[int, str]
) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The distinct spellings, and the index of each code point's spelling (int32 [0x110000])."""
    normalized, texts = normalized_code_points(*_switches(spec))
    # Few normalized characters are in the vocabulary; for all others only the kind matters.
    by_kind = [UNKNOWN, f" {UNKNOWN} ", " "]  # in the order of LETTER, ISOLATED, SPACE
    known = [*map(chr, range(0x20, 0x7F)), *stand_ins]
    spelled = {text: _spell(text, kinds, stand_ins) for text in [*known, *texts]}
    spans = sorted({*by_kind, *spelled.values(), *markers.values()})
    index = {spelling: i for i, spelling in enumerate(spans)}
    of_characters = np.array([index[spelling] for spelling in by_kind], np.int32)[kinds]
    of_characters[[ord(name) for name in known]] = [index[spelled[name]] for name in known]
    of_texts = np.array([index[spelled[text]] for text in texts], np.int32)
    cells = np.where(
        normalized >= 0, of_characters[normalized], of_texts[np.minimum(normalized, -1) * -1 - 1]
    )
    if np.unique(cells[MARKERS.start : NEUTRAL + 1]).size != 1:
        raise PipelineError(
            f"the vocabulary uses characters of U+{MARKERS.start:X}..U+{NEUTRAL:X}, kept for special tokens"
        )
    for marker, spelling in markers.items():
        cells[marker] = index[spelling]
    return spans, cells


def _spell(normalized: str, kinds: npt.NDArray[np.uint8], stand_ins: dict[str, str]) -> str:
    spelled = "".join(_spell_character(c, kinds[ord(c)], stand_ins) for c in normalized)
    return re.sub("  +", " ", spelled)


def _spell_character(character: str, kind: int, stand_ins: dict[str, str]) -> str:
    if kind == SPACE:
        return " "
    if _is_plain(character):
        return character
    code = stand_ins.get(character, UNKNOWN)
    return code if kind == LETTER else f" {code} "


def _recoded_vocab(
    spec: WordpieceSpec,
    kinds: npt.NDArray[np.uint8],
    stand_ins: dict[str, str],
    tokens: dict[str, str],
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The vocabulary in the table's alphabet, with PREFIX for the continuing prefix; index = id.

    "WHO" is read as the word who even if "who" is a special token, and "whos" as who, ##s even if "##s" is an
    added token: such a token has a second entry after the end, and its id is returned too.
    """
    recoded = [f"{UNREACHABLE}{i}" for i in range(len(spec.tokens))]
    for i, token in enumerate(spec.vocab):
        if _is_reachable(spec, token, kinds):
            body = _body(spec, token)
            prefix = "" if body == token else PREFIX
            recoded[i] = prefix + "".join(c if _is_plain(c) else stand_ins[c] for c in body)
    words = [(token, i) for token, i in spec.added_tokens if not recoded[i].startswith(UNREACHABLE)]
    for token, index in spec.added_tokens:
        if (token, index) not in words:
            recoded[index] = tokens[token]
    return (*recoded, *(tokens[token] for token, _ in words)), tuple(index for _, index in words)
