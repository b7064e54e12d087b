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
from typing import Any

from models.errors import CheckpointError
from models.files import FromFile, shown, typed
from models.tokenizers.family import ResolvedTokenizer, Template
from models.tokenizers.templates import as_text, read_templates
from models.tokenizers.tokenizer_files import TokenizerFiles, part
from models.tokenizers.wordpiece.bert_tokenizer import (
    TITLE,
    ordered_vocabulary,
    refused,
    resolve_tokenizer,
)

TFLITE_TOKENIZER = "BertTokenizerOptions"  # of TFLite metadata
WORD_OPTIONS: dict[str, bool] = {}
# RE2 refuses larger counted repetitions, and the long-word rule is one.
LONGEST_WORD_LIMIT = 1000
MOST_ADDED_TOKENS = 250  # of each kind: each is one replacement in the graph
# Code points that stand for added tokens inside the graph: private use, so a text has no other reason for them.
RESERVED = range(0x10F000, 0x10F101)

Found = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class WordpieceSpec:
    """One BERT tokenization, with the templates of a text and of a pair: [CLS] A [SEP], [CLS] A [SEP] B [SEP].

    `vocab[i]` is the token with id i; added tokens may have ids past its end. `special_tokens` are (token, id)
    pairs that are found literally in the raw text, before any normalization; `normalized_tokens` are found in what
    normalization leaves of the pieces between those. Both win over words, as in Hugging Face fast tokenizers.
    `strip_accents` is resolved: where the files say null it follows `lower_case`. `token_types`: whether the
    tokenizer gives token types. `file` is named in error messages.
    """

    vocab: tuple[str, ...]
    single: Template
    pair: Template
    lower_case: bool = True
    strip_accents: bool = True
    handle_chinese_chars: bool = True
    clean_text: bool = True
    max_input_chars_per_word: int = 100
    continuing_prefix: str = "##"
    unk_token: str = "[UNK]"
    pad_token: str = "[PAD]"
    special_tokens: Found = ()
    normalized_tokens: Found = ()
    token_types: bool = True
    file: Path = Path()

    @property
    def pad_id(self) -> int:
        return self._ids[self.pad_token]

    @property
    def unk_id(self) -> int:
        return self._ids[self.unk_token]

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


class _Added(FromFile):
    id: int
    content: str
    single_word: bool
    normalized: bool


class _AddedTokens(FromFile):
    added_tokens: list[_Added]


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
    model = part(TITLE, file, state, "model", "WordPiece", _WordPiece)
    normalizer = part(TITLE, file, state, "normalizer", "BertNormalizer", _Normalizer)
    part(TITLE, file, state, "pre_tokenizer", "BertPreTokenizer", _Empty)
    added = typed(_AddedTokens, file, state).added_tokens
    ids = {token: i for i, token in enumerate(vocab)} | {token.content: token.id for token in added}
    single, pair = _templates(file, state, ids)
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
        single=single,
        pair=pair,
        pad_token=resolved.pad_token,
        special_tokens=special,
        normalized_tokens=normalized,
        token_types=resolved.token_types,
        file=file,
    )


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


def _templates(file: Path, state: Mapping[str, Any], ids: Mapping[str, int]) -> tuple[Template, Template]:
    """Those of the post-processor; an encoder with WordPiece reads the text's meaning at a first special token."""
    if state.get("post_processor") is None:
        raise refused(file, "post_processor.type", None, "tokenizers that add special tokens")
    templates = read_templates(TITLE, file, state, ids)
    if not all(isinstance(template[0][0], int) for template in templates):
        tokens = {index: token for token, index in ids.items()}
        found = " and ".join(as_text(template, tokens) for template in templates)
        raise refused(
            file, "post_processor", found, "templates that begin with a special token: [CLS] A [SEP]"
        )
    return templates


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
