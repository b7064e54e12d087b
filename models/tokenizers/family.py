"""The tokenizer families, one row each, and what the rest of the project asks of them. No TensorFlow here.

A family is a package with two modules, imported by name where they are needed, so that an edit of one family
re-runs no node of a model with another:

`spec`: what `SpecModule` lists; no TensorFlow there either.
`graph`: what `Graph` lists.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from models.files import checkpoint_file
from models.tokenizers.tokenizer_files import FILES, TokenizerFiles

FIRST, SECOND = "A", "B"  # a text in a template

# (FIRST, SECOND or the id of a special token, token type) of each piece of a row, in order.
Template: TypeAlias = tuple[tuple[str | int, int], ...]


def special_tokens(template: Template) -> int:
    """How many tokens of a row are not of a text."""
    return sum(isinstance(piece, int) for piece, _ in template)


class Spec(Protocol):
    """A checkpoint's tokenization, as its family's graph reproduces it: a frozen, hashable dataclass.

    `file` is named in messages. `vocab[i]` is the token with the id i; `added_tokens`, (token, id) pairs, may have
    ids past its end, and `tokens` is all of them by id. `token_types`: whether the tokenizer gives token types; they
    are an input of the model where a template has others than 0.
    """

    @property
    def file(self) -> Path: ...
    @property
    def vocab(self) -> tuple[str, ...]: ...
    @property
    def tokens(self) -> tuple[str, ...]: ...
    @property
    def added_tokens(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def pad_token(self) -> str: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def token_types(self) -> bool: ...
    @property
    def single(self) -> Template: ...
    @property
    def pair(self) -> Template: ...


@dataclass(frozen=True)
class ResolvedTokenizer:
    """A tokenizer as transformers makes it of a checkpoint's files.

    `state` has the shape of tokenizer.json, every added token with its final id and flags. `file` is where most of
    it comes from, for error messages.
    """

    file: Path
    state: Mapping[str, Any]
    pad_token: str | None
    token_types: bool


class SpecModule(Protocol):
    """The names and functions of a family's module `spec`.

    `WORD_OPTIONS`: fields of the spec that have other values where each word is tokenized alone; transformers has them as
    options of `from_pretrained`.
    """

    WORD_OPTIONS: Mapping[str, Any]

    def read_spec(self, files: TokenizerFiles) -> Spec:
        """What transformers would make of the files; CheckpointError where the graph could not reproduce it."""

    def make_spec(self, resolved: ResolvedTokenizer) -> Spec:
        """The same of transformers' own tokenizer."""


class Graph(Protocol):
    """The function of a family's module `graph`."""

    def tokenize(self, texts: Any, spec: Any) -> Any:
        """Token ids without special tokens: string [batch] -> ragged int64 [batch, None]."""


@dataclass(frozen=True)
class Family:
    """How a family is recognized, and where its code is.

    `title`: its name in messages. `model_type`: model.type in its tokenizer.json; `pre_tokenizer`: the type of a
    pre-tokenizer beside it, alone or in a Sequence, where families share a model. `vocabulary_files`: what a
    checkpoint without tokenizer.json has of it. `spec`, `graph`: dotted paths of its modules. `exports`: each
    export format that it can ship -> the module of the family that the format's exporter runs.
    """

    title: str
    model_type: str
    vocabulary_files: tuple[str, ...]
    spec: str
    graph: str
    exports: Mapping[str, str]
    pre_tokenizer: str | None = None

    @property
    def modules(self) -> tuple[str, ...]:
        """What makes the token ids: for the fingerprint of the code."""
        return self.spec, self.graph

    def load_spec_module(self) -> SpecModule:
        return cast(SpecModule, importlib.import_module(self.spec))

    def load_graph(self) -> Graph:
        """Imports TensorFlow."""
        return cast(Graph, importlib.import_module(self.graph))


FAMILIES = {
    "wordpiece": Family(
        title="WordPiece",
        model_type="WordPiece",
        vocabulary_files=("vocab.txt",),
        spec="models.tokenizers.wordpiece.spec",
        graph="models.tokenizers.wordpiece.graph",
        exports={
            "tflite": "models.tokenizers.wordpiece.spec",
            "onnx": "models.tokenizers.wordpiece.spec",
            "tfjs": "models.tokenizers.wordpiece.javascript",
        },
    ),
    "byte_bpe": Family(
        title="byte-level BPE",
        model_type="BPE",
        pre_tokenizer="ByteLevel",
        vocabulary_files=("vocab.json", "merges.txt"),
        spec="models.tokenizers.byte_bpe.spec",
        graph="models.tokenizers.byte_bpe.graph",
        exports={
            "tflite": "models.tokenizers.byte_bpe.spec",
            "onnx": "models.tokenizers.byte_bpe.spec",
        },
    ),
    "sentencepiece": Family(
        title="SentencePiece Unigram",
        model_type="Unigram",
        vocabulary_files=("sentencepiece.bpe.model", "spiece.model", "spm.model", "sentencepiece.model"),
        spec="models.tokenizers.sentencepiece.spec",
        graph="models.tokenizers.sentencepiece.graph",
        exports={
            "tflite": "models.tokenizers.sentencepiece.spec",
            "onnx": "models.tokenizers.sentencepiece.spec",
        },
    ),
}
_REFUSING = "wordpiece"  # says of files that are of no family what is wrong with them


def vocabulary_files() -> tuple[str, ...]:
    """Names that a vocabulary may have beside tokenizer.json."""
    return tuple(dict.fromkeys(name for family in FAMILIES.values() for name in family.vocabulary_files))


def family_of(folder: str | Path) -> Family:
    """The family that a checkpoint's tokenizer files are of.

    Raises:
        CheckpointError: one of them is malformed. Files of no known family are refused by `load_spec`.
    """
    return _family(TokenizerFiles(Path(folder), vocabulary_files()))


def load_spec(folder: str | Path) -> Spec:
    """Reads the tokenizer files of a checkpoint's folder, in milliseconds.

    Raises:
        CheckpointError: no tokenizer file, one that cannot be read, files that contradict each other, or a
            tokenization that cannot be reproduced exactly; the message names the file and the key.
    """
    folder = Path(folder)
    return _load(folder, file_stamps(folder))


def word_spec(folder: str | Path) -> Spec:
    """The tokenization of words, each of which is tokenized alone: `load_spec` with the family's `WORD_OPTIONS`."""
    options = family_of(folder).load_spec_module().WORD_OPTIONS
    return cast(Spec, dataclasses.replace(cast(Any, load_spec(folder)), **options))


Stamps: TypeAlias = tuple[tuple[int, int, int] | None, ...]


def file_stamps(folder: Path) -> Stamps:
    """What changes when a tokenizer file of the folder does.

    Raises:
        CheckpointError: a link leads out of the folder.
    """
    return tuple(_stamp(checkpoint_file(folder, name)) for name in (*FILES, *vocabulary_files()))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    if not file.is_file():
        return None
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


@functools.lru_cache(maxsize=8)
def _load(folder: Path, stamps: Stamps) -> Spec:
    """Kept, because TFT traces the preprocessing again and again; `stamps` change with the files."""
    files = TokenizerFiles(folder, vocabulary_files())
    family = _family(files)
    files.title = family.title
    return family.load_spec_module().read_spec(files)


def _family(files: TokenizerFiles) -> Family:
    """By tokenizer.json's model and pre-tokenizer where there is that file, else by the vocabulary file.

    Files of no family get one of the same model, or WordPiece, whose `read_spec` says what is wrong with them.
    """
    if files.tokenizer is None:
        for family in FAMILIES.values():
            if any(files.has(name) for name in family.vocabulary_files):
                return family
        return FAMILIES[_REFUSING]
    kinds, steps = _types(files.state.get("model")), _types(files.state.get("pre_tokenizer"))
    of_model = [family for family in FAMILIES.values() if family.model_type in kinds]
    of_both = [family for family in of_model if family.pre_tokenizer in (None, *steps)]
    return (*of_both, *of_model, FAMILIES[_REFUSING])[0]


def _types(part: object) -> list[object]:
    """`{"type": "ByteLevel"}` -> `["ByteLevel"]`; of a Sequence, those of its steps."""
    if not isinstance(part, dict):
        return []
    steps = part.get("pretokenizers")
    return (
        [part.get("type"), *(kind for step in steps for kind in _types(step))]
        if isinstance(steps, list)
        else [part.get("type")]
    )
