"""The tokenization as JSON, for a JavaScript that repeats it (`tokenizer.js` of TensorFlow.js). No TensorFlow here.

The table says what the Rust tokenizer makes of every code point, so that no browser's own Unicode tables
(another version in each) have a say: `code_points.py` does the same for the graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from models.tokenizers.wordpiece.code_points import (
    CODE_POINTS,
    ISOLATED,
    LETTER,
    SPACE,
    SURROGATES,
    character_kinds,
    normalized_code_points,
)
from models.tokenizers.wordpiece.spec import WordpieceSpec

Characters = dict[str, Any]


def tokenizer_data(spec: WordpieceSpec, max_length: int) -> dict[str, Any]:
    """The content of tokenizer_data.json; JSON values only.

    Args:
        spec: the tokenization.
        max_length: most tokens of a row, special tokens included.
    """
    return {
        "max_length": max_length,
        "single": spec.single,
        "pair": spec.pair,
        "pad_id": spec.pad_id,
        "unk_id": spec.unk_id,
        "continuing_prefix": spec.continuing_prefix,
        "max_input_chars_per_word": spec.max_input_chars_per_word,
        "special_tokens": [[token, index] for token, index in spec.special_tokens],
        "normalized_tokens": [[token, index] for token, index in spec.normalized_tokens],
        "characters": characters(spec),
        "vocab": list(spec.vocab),
    }


def characters(spec: WordpieceSpec) -> Characters:
    """What becomes of each code point that is not simply kept.

    `alone` (a word of its own), `space` and `gone`: ranges, both ends included, as [first, last, first, last
    ...]. `mapped`: character -> what is written instead, with a space wherever words part; `{"É": "e"}`.
    Surrogates are in none: tokenizer.js takes them for U+FFFD, which is what they become in UTF-8.
    """
    groups: dict[str, list[int]] = {"alone": [], "space": [], "gone": []}
    mapped = {}
    for code, spelled in _changed(spec):
        if spelled == f" {chr(code)} ":
            groups["alone"].append(code)
        elif spelled in ("", " "):
            groups["gone" if spelled == "" else "space"].append(code)
        else:
            mapped[chr(code)] = spelled
    return {name: _ranges(codes) for name, codes in groups.items()} | {"mapped": mapped}


def _changed(spec: WordpieceSpec) -> Iterable[tuple[int, str]]:
    """(code point, what is written for it) wherever that is not the character itself; in order."""
    normalized, texts = normalized_code_points(
        spec.clean_text, spec.handle_chinese_chars, spec.strip_accents, spec.lower_case
    )
    kinds = character_kinds()
    same = (normalized == np.arange(CODE_POINTS)) & (kinds == LETTER)
    same[SURROGATES.start : SURROGATES.stop] = True
    for code in np.flatnonzero(~same).tolist():
        becomes = int(normalized[code])
        text = chr(becomes) if becomes >= 0 else texts[-1 - becomes]
        yield code, _spelled(text, kinds)


def _spelled(text: str, kinds: np.ndarray) -> str:
    """Normalized text with a space at every place where words part: `"a!"` -> `"a ! "`."""
    spelled = ""
    for character in text:
        kind = kinds[ord(character)]
        spelled += " " if kind == SPACE else f" {character} " if kind == ISOLATED else character
    return re.sub("  +", " ", spelled)  # one space parts words as well as two do


def _ranges(codes: list[int]) -> list[int]:
    """`[1, 2, 3, 7]` -> `[1, 3, 7, 7]`."""
    ranges: list[int] = []
    for code in codes:
        if ranges and ranges[-1] == code - 1:
            ranges[-1] = code
        else:
            ranges += [code, code]
    return ranges
