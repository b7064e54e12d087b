"""The WordPiece tokenization of a checkpoint, as the graph needs to know it. No TensorFlow here.

Only what `graph.py` reproduces token for token is accepted; anything else is refused with the
file and the key that say it, because a tokenizer that is nearly right costs accuracy silently.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field

from models.errors import CheckpointError
from models.files import FromFile, shown, typed
from models.tokenizers.family import FIRST, SECOND, ResolvedTokenizer, Template
from models.tokenizers.tokenizer_files import TokenizerFiles
from models.tokenizers.wordpiece.bert_tokenizer import ordered_vocabulary, refused, resolve_tokenizer

# RE2 refuses larger counted repetitions, and the long-word rule is one.
LONGEST_WORD_LIMIT = 1000
MOST_ADDED_TOKENS = 250  # of each kind: each is one replacement in the graph
# Code points that stand for added tokens inside the graph: private use, so a text has no other reason for them.
RESERVED = range(0x10F000, 0x10F101)

Found = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class WordpieceSpec:
    """One BERT tokenization: [CLS] A [SEP], or [CLS] A [SEP] B [SEP] for pairs.

    `vocab[i]` is the token with id i; added tokens may have ids past its end. `special_tokens` are (token, id)
    pairs that are found literally in the raw text, before any normalization; `normalized_tokens` are found in what
    normalization leaves of the pieces between those. Both win over words, as in Hugging Face fast tokenizers.
    `strip_accents` is resolved: where the files say null it follows `lower_case`. `token_types`: whether the
    tokenizer gives a pair's second text another token type. `file` is named in error messages.
    """

    vocab: tuple[str, ...]
    lower_case: bool = True
    strip_accents: bool = True
    handle_chinese_chars: bool = True
    clean_text: bool = True
    max_input_chars_per_word: int = 100
    continuing_prefix: str = "##"
    unk_token: str = "[UNK]"
    cls_token: str = "[CLS]"
    sep_token: str = "[SEP]"
    pad_token: str = "[PAD]"
    special_tokens: Found = ()
    normalized_tokens: Found = ()
    token_types: bool = True
    file: Path = Path()

    @property
    def cls_id(self) -> int:
        return self._ids[self.cls_token]

    @property
    def sep_id(self) -> int:
        return self._ids[self.sep_token]

    @property
    def pad_id(self) -> int:
        return self._ids[self.pad_token]

    @property
    def unk_id(self) -> int:
        return self._ids[self.unk_token]

    @property
    def single(self) -> Template:
        return (self.cls_id, 0), (FIRST, 0), (self.sep_id, 0)

    @property
    def pair(self) -> Template:
        return *self.single, (SECOND, 1), (self.sep_id, 1)

    @property
    def added_tokens(self) -> Found:
        return self.special_tokens + self.normalized_tokens

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token, those past the vocabulary too; the index is the id."""
        past = sorted(index for _, index in self.added_tokens if index >= len(self.vocab))
        names = {index: token for token, index in self.added_tokens}
        return self.vocab + tuple(names[index] for index in past)

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {**{token: index for index, token in enumerate(self.vocab)}, **dict(self.added_tokens)}


class _Normalizer(FromFile):
    clean_text: bool = True
    handle_chinese_chars: bool = True
    strip_accents: bool | None = None
    lowercase: bool = True

    def normalize(self, text: str) -> str:
        """What the Rust tokenizer makes of a text before it splits it."""
        from tokenizers import normalizers  # few tokenizers need it, and each run would wait for it

        switches = self.clean_text, self.handle_chinese_chars, self.strip_accents, self.lowercase
        return normalizers.BertNormalizer(*switches).normalize_str(text)


class _WordPiece(FromFile):
    unk_token: str
    continuing_subword_prefix: str = "##"
    max_input_chars_per_word: int = 100


class _Empty(FromFile):
    """A part that has nothing to read but its type."""


class _Piece(FromFile):
    id: str
    type_id: int


class _Step(FromFile):
    SpecialToken: _Piece | None = None
    Sequence: _Piece | None = None


class _Ids(FromFile):
    ids: list[int]


class _Template(FromFile):
    single: list[_Step]
    pair: list[_Step]
    special_tokens: dict[str, _Ids] | None = None  # None: those of the vocabulary


class _BertProcessing(FromFile):
    cls: Annotated[list[Any], Field(min_length=2, max_length=2)]
    sep: Annotated[list[Any], Field(min_length=2, max_length=2)]


class _Added(FromFile):
    id: int
    content: str
    single_word: bool
    normalized: bool


class _AddedTokens(FromFile):
    added_tokens: list[_Added]


P = TypeVar("P", bound=FromFile)


def read_spec(files: TokenizerFiles) -> WordpieceSpec:
    """Reads a checkpoint's tokenizer files; neither TensorFlow nor transformers is imported.

    Raises:
        CheckpointError: no tokenizer file, files that contradict each other, or a tokenization that cannot be
            reproduced exactly; the message names the file and the key.
    """
    return make_spec(resolve_tokenizer(files))


def make_spec(resolved: ResolvedTokenizer) -> WordpieceSpec:
    """Raises CheckpointError where the graph could only nearly reproduce the tokenizer."""
    file, state = resolved.file, resolved.state
    vocab = ordered_vocabulary(file, state)
    model = _part(file, state, "model", "WordPiece", _WordPiece)
    normalizer = _part(file, state, "normalizer", "BertNormalizer", _Normalizer)
    _part(file, state, "pre_tokenizer", "BertPreTokenizer", _Empty)
    added = typed(_AddedTokens, file, state).added_tokens
    ids = {token: i for i, token in enumerate(vocab)} | {token.content: token.id for token in added}
    cls, sep = _template(file, state, ids)
    if resolved.pad_token is None:
        raise refused(file, "pad_token", None, "tokenizers that have one")
    _check_model(file, model, vocab)
    special = tuple((token.content, token.id) for token in added if not token.normalized)
    normalized = tuple((token.content, token.id) for token in added if token.normalized)
    _check_added(file, added)
    _check_reserved(file, [*vocab, *(token.content for token in added)])
    _check_normalized(file, normalized, normalizer)
    return WordpieceSpec(
        vocab=vocab,
        lower_case=normalizer.lowercase,
        strip_accents=normalizer.lowercase if normalizer.strip_accents is None else normalizer.strip_accents,
        handle_chinese_chars=normalizer.handle_chinese_chars,
        clean_text=normalizer.clean_text,
        max_input_chars_per_word=model.max_input_chars_per_word,
        continuing_prefix=model.continuing_subword_prefix,
        unk_token=model.unk_token,
        cls_token=cls,
        sep_token=sep,
        pad_token=resolved.pad_token,
        special_tokens=special,
        normalized_tokens=normalized,
        token_types=resolved.token_types,
        file=file,
    )


def _part(file: Path, state: Mapping[str, Any], key: str, wanted: str, kind: type[P]) -> P:
    part = state.get(key)
    found = part.get("type") if isinstance(part, dict) else part
    if not isinstance(part, dict) or found != wanted:
        raise refused(file, f"{key}.type", found, repr(wanted))
    return typed(kind, file, part, key)


def _check_model(file: Path, model: _WordPiece, vocab: Sequence[str]) -> None:
    prefix, limit = model.continuing_subword_prefix, model.max_input_chars_per_word
    if model.unk_token not in vocab:
        raise CheckpointError(
            f"{file}: unk_token {shown(model.unk_token)} is not in the vocabulary of {len(vocab)} tokens"
        )
    if not prefix or not all(char in string.punctuation for char in prefix):
        raise refused(file, "continuing_subword_prefix", prefix, "ASCII punctuation such as '##'")
    if not 1 <= limit <= LONGEST_WORD_LIMIT:
        raise refused(file, "max_input_chars_per_word", limit, f"1 to {LONGEST_WORD_LIMIT}")


def _template(file: Path, state: Mapping[str, Any], ids: Mapping[str, int]) -> tuple[str, str]:
    """The [CLS] and [SEP] tokens of a post-processor that makes [CLS] A [SEP] and [CLS] A [SEP] B [SEP]."""
    post = state.get("post_processor")
    if isinstance(post, dict) and post.get("type") == "BertProcessing":
        ends = typed(_BertProcessing, file, post, "post_processor")
        for name, index in (ends.cls, ends.sep):
            if not isinstance(name, str) or ids.get(name) != index:
                raise refused(file, "post_processor", [name, index], "tokens with the ids of the vocabulary")
        return ends.cls[0], ends.sep[0]
    template = _part(file, state, "post_processor", "TemplateProcessing", _Template)
    single, pair = (list(map(_step, steps)) for steps in (template.single, template.pair))
    names = [name for name, _ in single]
    if len(names) == 3 and names[1] == "A":
        cls, sep = names[0], names[2]
        wanted = [(cls, 0), ("A", 0), (sep, 0)]
        if single == wanted and pair == [*wanted, ("B", 1), (sep, 1)]:
            for name in (cls, sep):
                _check_template_ids(file, name, ids, template.special_tokens)
            return cls, sep
    found = " and ".join(" ".join(f"{name}:{kind}" for name, kind in steps) for steps in (single, pair))
    raise refused(file, "post_processor", found, "[CLS] A [SEP] and [CLS] A [SEP] B [SEP]")


def _step(step: _Step) -> tuple[str, int]:
    part = step.SpecialToken or step.Sequence
    return (part.id, part.type_id) if part is not None else ("", 0)


def _check_template_ids(
    file: Path, name: str, ids: Mapping[str, int], special: Mapping[str, _Ids] | None
) -> None:
    if name not in ids:
        raise CheckpointError(f"{file}: post_processor: {shown(name)} is not in the vocabulary")
    if special is not None and (name not in special or special[name].ids != [ids[name]]):
        found = special[name].ids if name in special else None
        raise refused(
            file,
            f"post_processor.special_tokens.{shown(name)}.ids",
            found,
            f"[{ids[name]}], its id elsewhere",
        )


# --- the tokens that are added ------------------------------------------------------------------------


def _check_added(file: Path, added: Sequence[_Added]) -> None:
    for token in added:
        if token.single_word:
            raise refused(file, f"added token {shown(token.content)} single_word", True, "false")
    most = max(sum(token.normalized is kind for token in added) for kind in (True, False))
    if most > MOST_ADDED_TOKENS:
        raise refused(file, "the number of added tokens", most, f"up to {MOST_ADDED_TOKENS}")


def _check_reserved(file: Path, tokens: Sequence[str]) -> None:
    reserved = re.compile(f"[{chr(RESERVED[0])}-{chr(RESERVED[-1])}]")
    if reserved.search("".join(tokens)):
        token = next(token for token in tokens if reserved.search(token))
        first, last = RESERVED[0], RESERVED[-1]
        raise CheckpointError(
            f"{file}: the token {token!a} has a character of U+{first:X} to U+{last:X}, which the graph keeps for "
            "itself; leave it out"
        )


def _check_normalized(file: Path, tokens: Found, normalizer: _Normalizer) -> None:
    seen: dict[str, str] = {}
    for token, _ in tokens:
        text = normalizer.normalize(token)
        if text.strip() == "" or token != token.strip():
            raise CheckpointError(
                f"{file}: the added token {shown(token)} is empty once normalized, or has white space at an end; the "
                "graph finds such tokens in raw text alone: leave it out, or make it special, with normalized false"
            )
        if not normalizer.clean_text and any(character.isspace() for character in token):
            raise CheckpointError(
                f"{file}: the added token {shown(token)} has white space in it, and clean_text is false; the graph finds "
                "such tokens in raw text alone: leave it out, or make it special, with normalized false"
            )
        if text in seen:
            raise CheckpointError(
                f"{file}: the added tokens {shown(seen[text])} and {shown(token)} are both {shown(text)} once "
                "normalized; only one can be found"
            )
        seen[text] = token
