"""SentencePiece models, written field by field: SentencePiece's own Python package is not needed for that.

The numbers are those of sentencepiece_model.proto. No TensorFlow here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType
NORMAL, UNKNOWN, UNUSED = 1, 2, 5  # SentencePiece.Type
_VARINT, _BYTES, _FLOAT = 0, 2, 5  # wire types
# A trie without a rule: without any trie, SentencePiece logs a line for each model that is loaded.
_TRIE_BYTES = 1024
_NO_RULES = struct.pack("<I", _TRIE_BYTES) + bytes(_TRIE_BYTES) + b"\0"


@dataclass(frozen=True)
class Piece:
    """The id is the place in the list. One piece of a model is UNKNOWN."""

    text: str
    score: float
    kind: int = NORMAL


def piece_model(pieces: Iterable[Piece], model_type: int) -> bytes:
    """A ModelProto that leaves texts as they are: no normalization, no white space added, removed or replaced."""
    listed = b"".join(
        _message(1, _message(1, piece.text.encode()) + _float(2, piece.score) + _number(3, piece.kind))
        for piece in pieces
    )
    trainer = _number(3, model_type)
    normalizer = _message(1, b"none") + _message(2, _NO_RULES) + _number(3, 0) + _number(4, 0) + _number(5, 0)
    return listed + _message(2, trainer) + _message(3, normalizer)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | _FLOAT) + struct.pack("<f", value)


def _varint(value: int) -> bytes:
    """`300` -> `b"\\xac\\x02"`: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
