"""Tags of words and spans of them in the graph: the same spans as in `spans.py`.

`word_index` is int32 [rows, tokens], the number of each token's word in its row; NO_WORD for special tokens and padding. Tags
are ids of the label list, int32 [rows, words]; NO_TAG where a row has no word.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from models.features import NO_WORD
from models.tasks.token_labels.spans import BEGIN, END, NO_TAG, OUTSIDE, SINGLE
from models.tasks.token_labels.tags import TagTable


def first_pieces(word_index: tf.Tensor) -> tf.Tensor:
    """Which tokens begin a word, bool [rows, tokens]: `[[-1, 0, 0, 1, -1]]` -> `[[F, T, F, T, F]]`."""
    before = tf.pad(word_index[:, :-1], [[0, 0], [1, 0]], constant_values=NO_WORD)
    return (word_index != NO_WORD) & (word_index != before)


def by_word(values: tf.Tensor, word_index: tf.Tensor, width: tf.Tensor, default: float) -> tf.Tensor:
    """The values of the words' first tokens: [rows, tokens] -> [rows, width]; `default` for words without tokens."""
    places = tf.where(first_pieces(word_index))
    words = tf.stack([places[:, 0], tf.cast(tf.gather_nd(word_index, places), tf.int64)], axis=1)
    inside = words[:, 1] < tf.cast(width, tf.int64)
    words, places = tf.boolean_mask(words, inside), tf.boolean_mask(places, inside)
    empty = tf.fill([tf.shape(values)[0], width], tf.cast(default, values.dtype))
    return tf.tensor_scatter_nd_update(empty, words, tf.gather_nd(values, places))


def predicted_tags(logits: tf.Tensor, word_index: tf.Tensor, words: tf.Tensor, table: TagTable) -> tf.Tensor:
    """The most probable tag of each word's first token, int32 [rows, words]; O for words without tokens.

    Args:
        logits: float32 [rows, tokens, tags].
        word_index: int32 [rows, tokens].
        words: int32 scalar, the most words of a row.
        table: of the label list, which has O.
    """
    outside = table.prefixes.index(OUTSIDE)
    return by_word(tf.argmax(logits, -1, tf.int32), word_index, words, outside)


def tags_of_tokens(tags: tf.Tensor, word_index: tf.Tensor) -> tf.Tensor:
    """The tag of each token's word, int32 [rows, tokens]; NO_TAG for tokens without a word or a tag."""
    padded = tf.pad(tags, [[0, 0], [0, 1]], constant_values=NO_TAG)
    last = tf.shape(tags)[1]
    return tf.gather(
        padded, tf.where(word_index == NO_WORD, last, tf.minimum(word_index, last)), batch_dims=1
    )


class SpanMasks(NamedTuple):
    """Words that begin a span and words that continue one, bool [rows, words], and each word's type, int32."""

    begins: tf.Tensor
    continues: tf.Tensor
    types: tf.Tensor

    @property
    def lengths(self) -> tf.Tensor:
        """Words from each word to the next one that does not continue its span, int32 [rows, words]."""
        # Rows begin with a word that continues none, so all rows can be numbered as one.
        part = tf.cumsum(tf.cast(tf.reshape(~self.continues, [-1]), tf.int32)) - 1
        sizes = tf.math.unsorted_segment_sum(tf.ones_like(part), part, tf.size(part))
        return tf.reshape(tf.gather(sizes, part), tf.shape(self.continues))


def span_masks(tags: tf.Tensor, table: TagTable) -> SpanMasks:
    """The spans of rows of tags; see `spans.find_spans`."""
    # NO_TAG finds the last entries, which are O's.
    known = tf.where(tags == NO_TAG, len(table.prefixes), tags)
    prefix = tf.gather(tf.constant([*table.prefixes, OUTSIDE]), known)
    kind = tf.gather(tf.constant([*table.type_ids, len(table.types)]), known)
    before = tf.pad(prefix[:, :-1], [[0, 0], [1, 0]], constant_values=OUTSIDE)
    kind_before = tf.pad(kind[:, :-1], [[0, 0], [1, 0]], constant_values=len(table.types))
    in_span = prefix != OUTSIDE
    after_end = (before == OUTSIDE) | (before == END) | (before == SINGLE)
    begins = in_span & ((prefix == BEGIN) | (prefix == SINGLE) | after_end | (kind != kind_before))
    return SpanMasks(begins, in_span & ~begins, kind)


def row_span_counts(labelled: tf.Tensor, predicted: tf.Tensor, table: TagTable) -> tf.Tensor:
    """Correct, predicted and labelled spans of each row, float32 [rows, 3].

    Args:
        labelled, predicted: tags, int32 [rows, words].
    """
    one, other = span_masks(labelled, table), span_masks(predicted, table)
    correct = one.begins & other.begins & (one.types == other.types) & (one.lengths == other.lengths)
    return tf.stack(
        [tf.reduce_sum(tf.cast(begin, tf.float32), axis=1) for begin in (correct, other.begins, one.begins)],
        axis=1,
    )
