"""Words that are one piece, found by their text instead of the trie. Imports TensorFlow.

Most words of a text are one piece. Whether a piece stays whole, though some of its parts may be more probable, is worked
out once for each of them, with the graph's own `viterbi.best_pieces`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.tokenizers.sentencepiece.pieces import piece_trie
from models.tokenizers.sentencepiece.spec import SentencepieceSpec
from models.tokenizers.sentencepiece.viterbi import best_pieces

NO_WORD = b"\xff"  # no UTF-8 text
_BATCH = 20_000  # words


@dataclass(frozen=True, eq=False)
class WordTable:
    """`buckets`: bucket of a word -> its place in `words` and `ids`; 0 for none, where there is a text that is no word.

    int32 [a power of two], bytes [words + 1], int32 [words + 1]. Two words of one bucket: the more probable one is found.
    """

    buckets: npt.NDArray[np.int32]
    words: npt.NDArray[Any]
    ids: npt.NDArray[np.int32]


@functools.lru_cache(maxsize=4)
def word_table(spec: SentencepieceSpec, prefix: str) -> WordTable:
    """Of the pieces that begin with `prefix`, without it: `META`, or the empty text for all of them."""
    indices = [i for i, piece in enumerate(spec.vocab) if piece.startswith(prefix) and piece]
    indices = [i for i, ids in zip(indices, _pieces_of(spec, indices), strict=True) if ids == [i]]
    indices.sort(key=spec.scores.__getitem__)  # later words win a bucket
    words = [spec.vocab[i].removeprefix(prefix).encode() for i in indices]
    buckets = np.zeros(1 << (2 * len(words) + 1).bit_length(), np.int32)
    buckets[_buckets(words, len(buckets))] = np.arange(1, len(words) + 1)
    return WordTable(buckets, np.array([NO_WORD, *words], object), np.array([0, *indices], np.int32))


def found_words(words: tf.Tensor, table: WordTable) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether each word is in the table, and the id of its piece: string [n] -> bool [n], int32 [n]."""
    place = tf.gather(tf.constant(table.buckets), tf.strings.to_hash_bucket_fast(words, len(table.buckets)))
    return tf.gather(tf.constant(table.words), place) == words, tf.gather(tf.constant(table.ids), place)


def _pieces_of(spec: SentencepieceSpec, indices: list[int]) -> Iterator[list[int]]:
    """The ids that the texts of pieces have as words."""
    texts = [spec.vocab[i] for i in indices]
    for pieces in _values(lambda words: best_pieces(words, piece_trie(spec), spec.unk_id), texts):
        yield from pieces.to_list()


def _buckets(words: list[bytes], count: int) -> npt.NDArray[np.int64]:
    """TensorFlow's own hash of each word."""
    found = _values(lambda texts: tf.strings.to_hash_bucket_fast(texts, count), words)
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _values(function: Callable[[tf.Tensor], Any], words: Sequence[str] | Sequence[bytes]) -> list[Any]:
    """What a function makes of each batch of words, in a graph of its own: this runs while another graph is traced.

    The words are fed, because TensorFlow would fold a graph of constants, which takes ten times as long.
    """
    with tf.Graph().as_default():
        fed = tf.compat.v1.placeholder(tf.string, [None])
        made = function(fed)
        with tf.compat.v1.Session() as session:
            return [
                session.run(made, {fed: words[start : start + _BATCH]})
                for start in range(0, len(words), _BATCH)
            ]
