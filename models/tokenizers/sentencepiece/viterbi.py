"""The most probable pieces of words, in the graph, with the Rust tokenizer's arithmetic: float64, from the left.

A word's score is the sum of its pieces' scores, added one after the other. Of equal sums, the one whose last piece is the
longest wins, because the Rust tokenizer meets it first and replaces it only by a better one. SentencePiece itself adds in
float32, so `text.SentencepieceTokenizer` decides other words where two sums are nearly equal.

`words.py` runs this in a graph of its own while another one is traced, where `==` would compare the tensors' names.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from models.tokenizers.sentencepiece.normalize import looked_up
from models.tokenizers.sentencepiece.pieces import ROOT, PieceTrie
from models.tokenizers.sentencepiece.steps import META

_SCALAR, _VECTOR, _ARRAY = tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape(None)
_PACKED = 1 << 32  # times a length, plus a node: both in one number


class _Words(NamedTuple):
    """Words in descending order of their lengths, as one row of characters; the end of a word counts as one, too.

    int32: `characters` [all], `word` [all], the word that each belongs to, `starts` [words] and `lengths` [words].
    """

    characters: tf.Tensor
    word: tf.Tensor
    starts: tf.Tensor
    lengths: tf.Tensor


class _Matches(NamedTuple):
    """Pieces that are found in words: int32 `start`, `end` (the last character), `node`; float64 `score`; all [matches].

    `depth`: characters of the longest one, int32.
    """

    start: tf.Tensor
    end: tf.Tensor
    node: tf.Tensor
    score: tf.Tensor
    depth: tf.Tensor


def best_pieces(words: tf.Tensor, trie: PieceTrie, unk_id: int) -> tf.RaggedTensor:
    """`["▁unwanted", "▁xq"]` -> `[[512, 77], [9, 3]]`: string [n], valid UTF-8, not empty -> ragged int64 [n, None].

    Neighbouring unknown pieces are one.
    """
    words = tf.concat([words, [META]], axis=0)  # so that there is one
    lengths = tf.strings.length(words, unit="UTF8_CHAR")
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    laid_out = _laid_out(tf.gather(words, order), tf.gather(lengths, order), trie)
    matches = _matches(laid_out, trie)
    last = _last_pieces(laid_out, matches, _best_scores(laid_out, matches))
    pieces = _ids(_path(laid_out, last), laid_out, last, trie, unk_id)
    return tf.gather(pieces, tf.math.invert_permutation(order)[:-1])


def _laid_out(words: tf.Tensor, lengths: tf.Tensor, trie: PieceTrie) -> _Words:
    decoded = tf.strings.unicode_decode(tf.strings.join([words, " "]), "UTF-8", errors="replace")
    splits = tf.cast(decoded.row_splits, tf.int32)
    word = tf.repeat(tf.range(tf.size(lengths)), lengths + 1)
    is_end = tf.equal(tf.gather(splits, word + 1) - 1, tf.range(splits[-1]))
    characters = tf.where(is_end, 0, looked_up(decoded.flat_values, trie.characters))
    return _Words(characters, word, splits[:-1], lengths)


def _matches(words: _Words, trie: PieceTrie) -> _Matches:
    """Every piece at every place; also a character that is no piece, as the unknown one."""
    base, check = tf.constant(trie.base), tf.constant(trie.check)

    def longer(
        length: tf.Tensor, start: tf.Tensor, node: tf.Tensor, *found: tf.TensorArray
    ) -> tuple[Any, ...]:
        """From what begins pieces with `length` characters to what does with one more."""
        reached = tf.gather(base, node) + tf.gather(words.characters, start + length)
        exists = tf.where(tf.equal(tf.gather(check, reached), node))[:, 0]
        start, node = tf.gather(start, exists), tf.gather(reached, exists)
        written = zip(found, (start, start + length, node), strict=True)
        return length + 1, start, node, *(array.write(length, values) for array, values in written)

    start = tf.range(tf.size(words.characters))
    depth, _, _, *found = tf.while_loop(
        lambda length, start, *_: (length < trie.depth) & (tf.size(start) > 0),
        longer,
        (
            tf.constant(0),
            start,
            tf.fill(tf.shape(start), ROOT),
            *(_growing_array(tf.int32) for _ in range(3)),
        ),
        shape_invariants=(_SCALAR, _VECTOR, _VECTOR, *[_ARRAY] * 3),
        parallel_iterations=1,
    )
    starts, ends, nodes = (array.concat() for array in found)
    return _Matches(starts, ends, nodes, tf.gather(tf.constant(trie.scores), nodes), depth)


def _growing_array(dtype: tf.DType) -> tf.TensorArray:
    """Of vectors of different lengths."""
    return tf.TensorArray(dtype, size=0, dynamic_size=True, infer_shape=False, element_shape=[None])


def _best_scores(words: _Words, matches: _Matches) -> tf.Tensor:
    """The highest sum of scores up to each character, float64 [all]; of the end of a word, any number.

    All words go on by one character at a time: those that are long enough, which are the first ones.
    """
    depth = matches.depth
    column = depth - 1 - (matches.end - matches.start)
    by_end = tf.math.unsorted_segment_max(
        matches.score, matches.end * depth + column, tf.size(words.characters) * depth
    )
    by_end = tf.reshape(by_end, [-1, depth])  # the longest pieces first
    longest = words.lengths[0]
    words_of_length = tf.math.bincount(words.lengths, minlength=longest + 1)
    longer = tf.size(words.lengths) - tf.cumsum(words_of_length)  # [i]: words with more than i characters

    def step(place: tf.Tensor, window: tf.Tensor, found: tf.TensorArray) -> tuple[Any, ...]:
        """`window`: the best sums before the last `depth` characters, float64 [words, depth]."""
        count = longer[place]
        window = window[:count]
        best = tf.reduce_max(window + tf.gather(by_end, words.starts[:count] + place), axis=1)
        return place + 1, tf.concat([window[:, 1:], best[:, tf.newaxis]], axis=1), found.write(place, best)

    shape = tf.stack([tf.size(words.lengths), depth - 1])
    window = tf.pad(tf.fill(shape, tf.constant(-np.inf, tf.float64)), [[0, 0], [0, 1]])
    _, _, found = tf.while_loop(
        lambda place, *_: place < longest,
        step,
        (tf.constant(0), window, _growing_array(tf.float64)),
        shape_invariants=(_SCALAR, tf.TensorShape([None, None]), _ARRAY),
        parallel_iterations=1,
    )
    place = tf.range(tf.size(words.characters)) - tf.gather(words.starts, words.word)
    place = tf.minimum(place, tf.gather(words.lengths, words.word) - 1)
    before = tf.cumsum(longer, exclusive=True)
    return tf.gather(found.concat(), tf.gather(before, place) + words.word)


def _last_pieces(words: _Words, matches: _Matches, best: tf.Tensor) -> tf.Tensor:
    """The last piece of the best sum up to each character: its length and node in one number, int64 [all]."""
    is_start = tf.equal(tf.range(tf.size(best)), tf.gather(words.starts, words.word))
    before = tf.where(is_start, tf.zeros_like(best), tf.concat([tf.zeros_like(best[:1]), best[:-1]], axis=0))
    sums = tf.gather(before, matches.start) + matches.score
    equal = tf.where(tf.equal(sums, tf.gather(best, matches.end)))[:, 0]
    start, end, node = (tf.gather(part, equal) for part in (matches.start, matches.end, matches.node))
    packed = tf.cast(end - start + 1, tf.int64) * _PACKED + tf.cast(node, tf.int64)
    return tf.math.unsorted_segment_max(packed, end, tf.size(best))  # the longest


def _path(words: _Words, last: tf.Tensor) -> tf.Tensor:
    """Where the pieces of all words end, in order: int64 [pieces]."""
    lengths = tf.cast(last // _PACKED, tf.int32)

    def back(step: tf.Tensor, end: tf.Tensor, found: tf.TensorArray) -> tuple[Any, ...]:
        before = end - tf.gather(lengths, end)
        within = tf.where(before >= tf.gather(words.starts, tf.gather(words.word, end)))[:, 0]
        return step + 1, tf.gather(before, within), found.write(step, end)

    _, _, found = tf.while_loop(
        lambda _, end, __: tf.size(end) > 0,
        back,
        (tf.constant(0), words.starts + words.lengths - 1, _growing_array(tf.int32)),
        shape_invariants=(_SCALAR, _VECTOR, _ARRAY),
        parallel_iterations=1,
    )
    ends = found.concat()
    return tf.where(tf.math.unsorted_segment_sum(tf.ones_like(ends), ends, tf.size(last)) > 0)[:, 0]


def _ids(ends: tf.Tensor, words: _Words, last: tf.Tensor, trie: PieceTrie, unk_id: int) -> tf.RaggedTensor:
    """The pieces of each word, neighbouring unknown ones as one: int64 [words, None]."""
    nodes = tf.gather(last, ends) % _PACKED
    ids, word = tf.gather(tf.constant(trie.ids), nodes), tf.gather(words.word, ends)
    is_unknown = tf.equal(ids, unk_id)
    is_again = is_unknown[1:] & is_unknown[:-1] & tf.equal(word[1:], word[:-1])
    kept = tf.where(tf.concat([tf.ones_like(ids[:1], tf.bool), tf.logical_not(is_again)], axis=0))[:, 0]
    return tf.RaggedTensor.from_value_rowids(
        tf.cast(tf.gather(ids, kept), tf.int64),
        tf.cast(tf.gather(word, kept), tf.int64),
        nrows=tf.size(words.lengths, tf.int64),
        validate=False,
    )
