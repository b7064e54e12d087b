"""The vocabulary as the graph reads it: a table of the words that are one token, and a SentencePiece model for the rest.

No TensorFlow here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import models

from models.errors import PipelineError
from models.tokenizers.byte_bpe.spec import BYTE_CHARACTERS, LONGEST_KEY, ByteBpeSpec
from models.tokenizers.piece_model import BPE, NORMAL, UNKNOWN, Piece, piece_model

KEY_BYTES = LONGEST_KEY + 1  # a word's bytes, zeros, its length
_BYTES = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}
# Starts the pieces that no word can give: no byte has this character.
_UNREACHABLE = "\ue000"

# Odd constants that spread the bits of a key.
MIX = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)
_LOAD, _KEYS_PER_BUCKET = 0.8, 4  # the smaller the table, the more of it stays in a processor's cache


@dataclass(frozen=True)
class WordTable:
    """The words of up to LONGEST_KEY bytes that are one token, each at a slot of its own: a perfect hash table.

    `keys`: uint64 [slots, 2]; an empty slot has a key that no word has. `ids`: int32 [slots]. `shifts`: uint64
    [buckets]: what makes the slots of a bucket's words different ones.
    """

    keys: npt.NDArray[np.uint64]
    ids: npt.NDArray[np.int32]
    shifts: npt.NDArray[np.uint64]


@functools.lru_cache(maxsize=8)
def word_table(spec: ByteBpeSpec) -> WordTable:
    """Exact: a word is looked up with all its bytes."""
    whole = range(len(spec.vocab)) if spec.ignore_merges else sorted(_reachable(spec))
    words = {index: _as_bytes(spec.vocab[index]) for index in whole}
    return _perfect_table({index: word for index, word in words.items() if word and len(word) <= LONGEST_KEY})


@functools.lru_cache(maxsize=8)
def merging_model(spec: ByteBpeSpec) -> bytes:
    """A SentencePiece model that makes the tokens of a word, written over BYTE_CHARACTERS.

    SentencePiece joins any two neighbours that are a piece together, Hugging Face only those of a merge. The two do the
    same because a piece here is what Hugging Face makes one token of. Proof: let neighbours l and r be the piece p when
    the merges up to rank k are done, k being that of p's own. What was joined so far inside l and r is what Hugging Face
    joins in the text p alone, as nothing crossed their ends; there, too, l and r are left when k is next. But p alone
    becomes one token at k, so (l, r) is the merge k. `spec.py` refuses merges that make a part later than they use it.
    """
    scores = {left + right: -float(rank) for rank, (left, right) in reversed([*enumerate(spec.merges)])}
    reachable = _reachable(spec)
    pieces = [
        Piece(token, scores.get(token, 0.0), NORMAL)
        if index in reachable
        else Piece(f"{_UNREACHABLE}{index}", 0.0, NORMAL)
        for index, token in enumerate(spec.vocab)
    ]
    return piece_model([*pieces, Piece("<unk>" + _UNREACHABLE, 0.0, UNKNOWN)], BPE)


@functools.lru_cache(maxsize=8)
def _reachable(spec: ByteBpeSpec) -> frozenset[int]:
    """The ids of the tokens that Hugging Face gives a word that is spelled like the token."""
    bpe = models.BPE({token: index for index, token in enumerate(spec.vocab)}, [*spec.merges])
    return frozenset(
        index
        for index, token in enumerate(spec.vocab)
        if not set(token).difference(_BYTES) and [one.id for one in bpe.tokenize(token)] == [index]
    )


def _as_bytes(token: str) -> bytes:
    """`"Ġthe"` -> `b" the"`; empty for a token with a character of no byte."""
    return b"" if set(token).difference(_BYTES) else bytes(_BYTES[character] for character in token)


def word_key(word: bytes) -> bytes:
    return word.ljust(LONGEST_KEY, b"\0") + bytes([len(word)])


def _perfect_table(words: Mapping[int, bytes]) -> WordTable:
    """Hash and displace: the buckets with the most words choose their slots first."""
    ids = np.array([*words], np.int32)
    keys = np.frombuffer(b"".join(map(word_key, words.values())), np.uint64).reshape(-1, 2)
    slots = 1 << max(4, int(len(words) / _LOAD).bit_length())
    buckets = 1 << max(2, (len(words) // _KEYS_PER_BUCKET).bit_length())
    mixed = mixed_key(keys)
    if len(np.unique(mixed)) != len(words):
        raise PipelineError("two words of the vocabulary have one hash of 64 bits; change words.MIX")
    bucket = (mixed >> np.uint64(64 - buckets.bit_length() + 1)).astype(np.int64)
    members = np.split(
        np.argsort(bucket, kind="stable"), np.cumsum(np.bincount(bucket, minlength=buckets))[:-1]
    )
    shifts, taken = np.zeros(buckets, np.uint64), np.zeros(slots, bool)
    table_keys = np.full((slots, 2), 0xFFFFFFFFFFFFFFFF, np.uint64)
    table_ids = np.zeros(slots, np.int32)
    for chosen in sorted(range(buckets), key=lambda index: -len(members[index])):
        rows = members[chosen]
        while len(rows):
            at = slot_of(mixed[rows], shifts[chosen : chosen + 1], slots)
            if not taken[at].any() and len(set(at.tolist())) == len(rows):
                taken[at], table_keys[at], table_ids[at] = True, keys[rows], ids[rows]
                break
            shifts[chosen] += np.uint64(1)
    return WordTable(table_keys, table_ids, shifts)


def mixed_key(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """uint64 [n, 2] -> uint64 [n]; the graph calculates the same."""
    mixed = (_folded(keys[:, 0] * np.uint64(MIX[0])) ^ keys[:, 1]) * np.uint64(MIX[1])
    return _folded(mixed) * np.uint64(MIX[2])


def _folded(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return values ^ (values >> np.uint64(32))


def slot_of(
    mixed: npt.NDArray[np.uint64], shift: npt.NDArray[np.uint64], slots: int
) -> npt.NDArray[np.int64]:
    spread = (mixed ^ (shift * np.uint64(MIX[3]))) * np.uint64(MIX[0])
    return (spread >> np.uint64(64 - slots.bit_length() + 1)).astype(np.int64)
