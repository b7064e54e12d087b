"""The steps of a fast tokenizer before its model: normalizers, and how texts are split. No TensorFlow here.

    read_normalizers(file, {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Lowercase"}]})
    # (Unicode("NFKD"), Unicode("Lowercase"))

Only steps that the graph reproduces are accepted; anything else is refused with the file and the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from models.errors import CheckpointError
from models.files import FromFile, shown, typed
from models.tokenizers.sentencepiece.charsmap import read_charsmap
from models.tokenizers.tokenizer_files import refused as refused_by

TITLE = "SentencePiece Unigram"
META = "\u2581"  # stands for a space in pieces
SPACES = " {2,}"  # the one regular expression that converters of transformers write

# Each looks at one character at a time, but for the order of neighbouring marks and, in NFC and NFKC, composition.
FORMS = ("NFD", "NFKD", "NFC", "NFKC", "StripAccents", "Lowercase", "Nmt")


@dataclass(frozen=True)
class Unicode:
    """One of FORMS."""

    name: str


@dataclass(frozen=True)
class Replace:
    """Each occurrence of `pattern`, or of several spaces where it is SPACES and `is_regex`, becomes `content`."""

    pattern: str
    content: str
    is_regex: bool = False


@dataclass(frozen=True)
class Strip:
    """White space goes at the ends."""

    left: bool
    right: bool


@dataclass(frozen=True)
class Prepend:
    """A text that is not empty begins with `text`."""

    text: str


@dataclass(frozen=True)
class Precompiled:
    """SentencePiece's own normalization: `charsmap` is base64, as tokenizer.json has it."""

    charsmap: str


Normalizer: TypeAlias = "Unicode | Replace | Strip | Prepend | Precompiled"


@dataclass(frozen=True)
class WhitespaceSplit:
    """Words end at white space, which goes."""


@dataclass(frozen=True)
class Punctuation:
    """Each punctuation character is a word of its own."""


@dataclass(frozen=True)
class Metaspace:
    """Spaces become META, and a word begins at each of them where `split`.

    `prepend`: which of the texts that it gets begin with META, too.
    """

    prepend: Literal["always", "first", "never"] = "always"
    split: bool = True


Splitter: TypeAlias = "WhitespaceSplit | Punctuation"


class _Typed(FromFile):
    type: str


class _Normalizers(FromFile):
    normalizers: list[dict[str, Any]]


class _Pattern(FromFile):
    String: str | None = None
    Regex: str | None = None


class _Replace(FromFile):
    pattern: _Pattern
    content: str


class _Strip(FromFile):
    strip_left: bool
    strip_right: bool


class _Prepend(FromFile):
    prepend: str


class _Precompiled(FromFile):
    precompiled_charsmap: str


class _PreTokenizers(FromFile):
    pretokenizers: list[dict[str, Any]]


class _Punctuation(FromFile):
    behavior: str = "Isolated"


class _Metaspace(FromFile):
    replacement: str
    prepend_scheme: Literal["always", "first", "never"] = "always"
    add_prefix_space: bool | None = None
    split: bool | None = None


def refused(file: Path, key: str, found: object, wanted: str) -> CheckpointError:
    """`{file}: normalizer.type is 'X'; in-graph SentencePiece Unigram reproduces only ...`."""
    return refused_by(TITLE, file, key, found, wanted)


# --- normalizers ----------------------------------------------------------------------------------------


def read_normalizers(file: Path, part: object) -> tuple[Normalizer, ...]:
    """The steps of `normalizer` in tokenizer.json, of Sequences one after the other.

    Raises:
        CheckpointError: a step that is not reproduced; the message names its key.
    """
    return tuple(_normalizer(file, key, step) for key, step in _steps(file, "normalizer", part))


def _steps(file: Path, key: str, part: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(key in the file, step) of every step that is no Sequence."""
    if part is None:
        return
    if not isinstance(part, dict):
        raise refused(file, key, part, "an object with a type")
    if typed(_Typed, file, part, key).type != "Sequence":
        yield key, part
        return
    inner: list[dict[str, Any]]
    if key.startswith("normalizer"):
        name, inner = "normalizers", typed(_Normalizers, file, part, key).normalizers
    else:
        name, inner = "pretokenizers", typed(_PreTokenizers, file, part, key).pretokenizers
    for index, step in enumerate(inner):
        yield from _steps(file, f"{key}.{name}.{index}", step)


def _normalizer(file: Path, key: str, step: Mapping[str, Any]) -> Normalizer:
    kind = step["type"]
    if kind in FORMS:
        return Unicode(kind)
    if kind not in _NORMALIZERS:
        raise refused(file, f"{key}.type", kind, ", ".join(sorted([*FORMS, *_NORMALIZERS])))
    return _NORMALIZERS[kind](file, key, step)


def _replace(file: Path, key: str, step: Mapping[str, Any]) -> Normalizer:
    read = typed(_Replace, file, step, key)
    if read.pattern.Regex is not None:
        if read.pattern.Regex != SPACES:
            raise refused(file, f"{key}.pattern.Regex", read.pattern.Regex, repr(SPACES))
        return Replace(SPACES, read.content, is_regex=True)
    if not read.pattern.String:
        raise refused(file, f"{key}.pattern.String", read.pattern.String, "texts that are not empty")
    return Replace(read.pattern.String, read.content)


def _strip(file: Path, key: str, step: Mapping[str, Any]) -> Normalizer:
    read = typed(_Strip, file, step, key)
    return Strip(read.strip_left, read.strip_right)


def _prepend(file: Path, key: str, step: Mapping[str, Any]) -> Normalizer:
    return Prepend(typed(_Prepend, file, step, key).prepend)


def _precompiled(file: Path, key: str, step: Mapping[str, Any]) -> Normalizer:
    charsmap = typed(_Precompiled, file, step, key).precompiled_charsmap
    try:
        read_charsmap(charsmap)
    except ValueError as error:
        raise CheckpointError(
            f"{file}: {key}.precompiled_charsmap is {shown(charsmap)}; it is no character map of SentencePiece ({error})"
        ) from error
    return Precompiled(charsmap)


_NORMALIZERS: dict[str, Callable[[Path, str, Mapping[str, Any]], Normalizer]] = {
    "Replace": _replace,
    "Strip": _strip,
    "Prepend": _prepend,
    "Precompiled": _precompiled,
}


# --- pre-tokenizers -------------------------------------------------------------------------------------


def read_pre_tokenizer(file: Path, part: object) -> tuple[tuple[Splitter, ...], Metaspace]:
    """The steps of `pre_tokenizer` in tokenizer.json: WhitespaceSplit and Punctuation, if any, and the Metaspace after them.

    Raises:
        CheckpointError: a step that is not reproduced, or another order; the message names the key.
    """
    steps = [_pre_tokenizer(file, key, step) for key, step in _steps(file, "pre_tokenizer", part)]
    splitters = tuple(step for step in steps if not isinstance(step, Metaspace))
    if len(splitters) + 1 != len(steps) or not isinstance(steps[-1], Metaspace):
        kinds = [type(step).__name__ for step in steps]
        raise refused(
            file, "pre_tokenizer", kinds, "WhitespaceSplit and Punctuation, or neither, before one Metaspace"
        )
    return splitters, steps[-1]


def _pre_tokenizer(file: Path, key: str, step: Mapping[str, Any]) -> Splitter | Metaspace:
    kind = step["type"]
    if kind == "WhitespaceSplit":
        return WhitespaceSplit()
    if kind == "Punctuation":
        behavior = typed(_Punctuation, file, step, key).behavior
        if behavior != "Isolated":
            raise refused(file, f"{key}.behavior", behavior, "'Isolated'")
        return Punctuation()
    if kind == "Metaspace":
        return _metaspace(file, key, typed(_Metaspace, file, step, key))
    raise refused(file, f"{key}.type", kind, "Metaspace, Punctuation, WhitespaceSplit")


def _metaspace(file: Path, key: str, read: _Metaspace) -> Metaspace:
    if read.replacement != META:
        raise refused(file, f"{key}.replacement", read.replacement, repr(META))
    if read.add_prefix_space is False and read.prepend_scheme != "never":
        raise refused(
            file,
            f"{key}.add_prefix_space",
            False,
            f"true beside prepend_scheme {read.prepend_scheme!r}, or prepend_scheme 'never'",
        )
    return Metaspace(read.prepend_scheme, True if read.split is None else read.split)
