"""The byte-level BPE of a checkpoint, as the graph needs to know it. No TensorFlow here.

Only what `graph.py` reproduces token for token is accepted; anything else is refused with the file and the key that
say it, because a tokenizer that is nearly right costs accuracy silently.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import CheckpointError
from models.files import FromFile, shown
from models.tokenizers.added_tokens import FoundToken, found_tokens
from models.tokenizers.byte_bpe.bpe_tokenizer import (
    TITLE,
    ordered_vocabulary,
    refused,
    resolve_tokenizer,
)
from models.tokenizers.family import ResolvedTokenizer, Template
from models.tokenizers.templates import read_templates
from models.tokenizers.tokenizer_files import TokenizerFiles, part

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
# GPT-2's alphabet: a character for each byte, the byte's own where it is printable in Latin-1.
BYTE_CHARACTERS = "".join(
    chr(byte if byte in _PRINTABLE else 0x100 + _OTHERS.index(byte)) for byte in range(256)
)
TFLITE_TOKENIZER = None  # TFLite metadata has no options for it
# As transformers asks of RoBERTa's tokenizer for words: each is a word after a space.
WORD_OPTIONS = {"add_prefix_space": True}
LONGEST_KEY = 15  # bytes of a word that the graph looks up


@dataclass(frozen=True)
class ByteBpeSpec:
    """One byte-level BPE, with the templates of a text and of a pair.

    `vocab[i]` is the token with id i, over BYTE_CHARACTERS; added tokens may have ids past its end. `merges` are in
    the order of their ranks. `add_prefix_space`: each text, and what is between added tokens, begins with a space.
    `ignore_merges`: a word that is a token stays whole. `found`: the added tokens. `file` is named in error messages.
    """

    vocab: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    single: Template
    pair: Template
    pad_token: str
    add_prefix_space: bool = False
    ignore_merges: bool = False
    found: tuple[FoundToken, ...] = ()
    token_types: bool = False
    file: Path = Path()

    @property
    def pad_id(self) -> int:
        added = dict(self.added_tokens)
        return added[self.pad_token] if self.pad_token in added else self.vocab.index(self.pad_token)

    @property
    def added_tokens(self) -> tuple[tuple[str, int], ...]:
        return tuple((token.content, token.id) for token in self.found)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token, those past the vocabulary too; the index is the id."""
        return self.vocab + tuple(token.content for token in self.found if token.id >= len(self.vocab))


class _ByteLevel(FromFile):
    add_prefix_space: bool
    use_regex: bool = True


class _Bpe(FromFile):
    """`unk_token` is not read: with all bytes in the vocabulary nothing is unknown."""

    merges: list[Any]
    dropout: float | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    byte_fallback: bool = False
    ignore_merges: bool = False


def read_spec(files: TokenizerFiles) -> ByteBpeSpec:
    """Reads a checkpoint's tokenizer files; neither TensorFlow nor transformers is imported.

    Raises:
        CheckpointError: no tokenizer file, files that contradict each other, or a tokenization that cannot be
            reproduced exactly; the message names the file and the key.
    """
    return make_spec(resolve_tokenizer(files))


def make_spec(resolved: ResolvedTokenizer) -> ByteBpeSpec:
    """Raises CheckpointError where the graph could only nearly reproduce the tokenizer."""
    file, state = resolved.file, resolved.state
    vocab = ordered_vocabulary(file, state)
    model = part(TITLE, file, state, "model", "BPE", _Bpe)
    byte_level = part(TITLE, file, state, "pre_tokenizer", "ByteLevel", _ByteLevel)
    normalizer = state.get("normalizer")
    if normalizer is not None:
        kind = normalizer.get("type") if isinstance(normalizer, dict) else normalizer
        raise refused(file, "normalizer.type", kind, "none")
    if not byte_level.use_regex:
        raise refused(file, "pre_tokenizer.use_regex", False, "true")
    found = found_tokens(TITLE, file, state)
    ids = {token: i for i, token in enumerate(vocab)} | {token.content: token.id for token in found}
    single, pair = read_templates(TITLE, file, state, ids)
    _check_pad_token(file, resolved.pad_token, ids)
    _check_model(file, model, vocab)
    merges = _merges(file, model.merges, vocab)
    if model.ignore_merges:
        _check_long_tokens(file, vocab, merges)
    return ByteBpeSpec(
        vocab=vocab,
        merges=merges,
        single=single,
        pair=pair,
        pad_token=str(resolved.pad_token),
        add_prefix_space=byte_level.add_prefix_space,
        ignore_merges=model.ignore_merges,
        found=found,
        token_types=resolved.token_types,
        file=file,
    )


def _check_pad_token(file: Path, token: str | None, ids: Mapping[str, int]) -> None:
    """GPT-2's files name none, and batches need one."""
    if token is None or token not in ids:
        wanted = "tokenizers that have one: name one in tokenizer_config.json, and its id as pad_token_id in config.json"
        raise refused(file, "pad_token", token, wanted)


def _check_model(file: Path, model: _Bpe, vocab: Sequence[str]) -> None:
    for key, harmless in (
        ("dropout", (None, 0.0)),
        ("continuing_subword_prefix", (None, "")),
        ("end_of_word_suffix", (None, "")),
        ("byte_fallback", (False,)),
    ):
        value = getattr(model, key)
        if value not in harmless:
            raise refused(file, f"model.{key}", value, shown(harmless[-1]))
    missing = set(BYTE_CHARACTERS).difference(vocab)
    if missing:
        raise CheckpointError(
            f"{file}: model.vocab has no token for {len(missing)} of the 256 bytes, such as "
            f"{BYTE_CHARACTERS.index(min(missing)):#04x} ({shown(min(missing))}); train the tokenizer with "
            "initial_alphabet=ByteLevel.alphabet()"
        )


def _merges(file: Path, listed: Sequence[Any], vocab: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """`["t h", ["th", "e"]]` -> `(("t", "h"), ("th", "e"))`, if each joins tokens that are there before it.

    SentencePiece, which runs the merges in the graph, takes them by what they make: it does the same as Hugging Face
    where no part of a merge is made later than the merge itself.
    """
    tokens, made = set(vocab), dict[str, int]()
    merges = tuple(_merge(file, rank, merge) for rank, merge in enumerate(listed))
    for rank, (left, right) in enumerate(merges):
        for token in (left, right, left + right):
            if token not in tokens:
                raise CheckpointError(
                    f"{file}: model.merges[{rank}] has {shown(token)}, which is not in model.vocab"
                )
        made.setdefault(left + right, rank)
    if len(set(merges)) != len(merges):
        raise CheckpointError(f"{file}: model.merges has a merge twice; list it once")
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    again = {left + right for rank, (left, right) in enumerate(merges) if made[left + right] != rank}
    made |= {token: last for token in again if (last := _last_merge(token, ranks)) is not None}
    for rank, (left, right) in enumerate(merges):
        for token in (left, right):
            if made.get(token, -1) > rank:
                raise refused(
                    file,
                    f"model.merges[{rank}]",
                    f"{left} {right}",
                    f"merges of tokens that earlier merges make: model.merges[{made[token]}] makes {shown(token)}",
                )
    return merges


def _check_long_tokens(file: Path, vocab: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
    """The graph looks up short words; SentencePiece makes a long one a token only where merges do."""
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    for token in vocab:
        if len(token) > LONGEST_KEY and _last_merge(token, ranks) is None:
            wanted = f"false beside the token {shown(token)}, which has over {LONGEST_KEY} bytes and which no merge makes"
            raise refused(file, "model.ignore_merges", True, wanted)


def _merge(file: Path, rank: int, merge: Any) -> tuple[str, str]:
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(token, str) for token in parts):
        raise CheckpointError(f"{file}: model.merges[{rank}] is {shown(merge)}; a merge has two parts")
    return parts[0], parts[1]


def _last_merge(token: str, ranks: Mapping[tuple[str, str], int]) -> int | None:
    """The rank of the merge that makes `token` of its characters; None if they end as several tokens."""
    symbols, last = list(token), None
    while len(symbols) > 1:
        known = [(ranks[pair], i) for i, pair in enumerate(itertools.pairwise(symbols)) if pair in ranks]
        if not known:
            return None
        last, place = min(known)
        symbols[place : place + 2] = ["".join(symbols[place : place + 2])]
    return last
