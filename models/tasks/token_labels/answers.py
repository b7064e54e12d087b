"""What a model answers for a text: its words with their tags, and the spans of tagged words, in code points of the raw text."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from models.features import CLASSES
from models.tasks.token_labels.decoding import by_word, span_masks
from models.tasks.token_labels.head import predicted_tags
from models.tasks.token_labels.spans import NO_TAG
from models.tasks.token_labels.tags import TagTable

# Outputs, [batch, width] each; the end of a row is filled up with "", NO_PLACE and 0.
WORDS, TAGS = "words", "tags"  # string
SCORES = "scores"  # float32, the probability of the tag
STARTS, ENDS = "starts", "ends"  # int64, of words in code points
SPAN_LABELS = "span_labels"  # string, PER
SPAN_STARTS, SPAN_ENDS = "span_starts", "span_ends"  # int64, in code points
CUT_WORDS = "cut_words"  # int64 [batch]: words at the end of a text that had no room, and have no tag

NO_PLACE = -1


class TextWords(NamedTuple):
    """The words of raw texts, as `models.tokenizers.words.find_words` gives them: ragged [batch, None]."""

    texts: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


def answers(
    logits: tf.Tensor,
    word_index: tf.Tensor,
    words: TextWords,
    classes: tf.Tensor,
    table: TagTable,
    width: int,
) -> dict[str, tf.Tensor]:
    """The outputs that are listed above, and CLASSES, string [batch, tags].

    A word that the tokenizer gives no token, such as a soft hyphen, is tagged O with a score of 0.

    Args:
        logits: float32 [batch, tokens, tags].
        word_index: int32 [batch, tokens].
        words: of the texts.
        classes: the tags in order of their ids, string [tags].
        table: of these tags.
        width: most words of an answer; with `max_length`, none that has a token is left out.
    """
    ends_of_words = tf.reduce_max(word_index, axis=1, keepdims=True) + 1  # of those with tokens
    starts, ends = (places.to_tensor(NO_PLACE, shape=[None, width]) for places in (words.starts, words.ends))
    is_tagged = (starts != NO_PLACE) & (tf.range(width) < ends_of_words)
    tags = tf.where(is_tagged, predicted_tags(logits, word_index, width, table), NO_TAG)
    highest = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
    rows = tf.size(ends_of_words)
    return {
        WORDS: tf.where(is_tagged, words.texts.to_tensor("", shape=[None, width]), ""),
        TAGS: tf.where(is_tagged, tf.gather(classes, tf.maximum(tags, 0)), ""),
        SCORES: by_word(highest, word_index, width, 0.0),
        STARTS: tf.where(is_tagged, starts, NO_PLACE),
        ENDS: tf.where(is_tagged, ends, NO_PLACE),
        **_spans(tags, starts, ends, table),
        CUT_WORDS: words.starts.row_lengths() - tf.cast(tf.squeeze(ends_of_words, 1), tf.int64),
        CLASSES: tf.tile(classes[tf.newaxis], [rows, 1]),
    }


def _spans(tags: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor, table: TagTable) -> dict[str, tf.Tensor]:
    """The spans of tags, int32 [batch, width], one after the other at the beginning of each row."""
    masks = span_masks(tags, table)
    last = tf.range(tf.shape(tags)[1]) + masks.lengths - 1
    names = tf.gather(tf.constant([*table.types, ""]), masks.types)
    order = tf.argsort(tf.cast(~masks.begins, tf.int32), axis=1, stable=True)

    def collected(values: tf.Tensor, filler: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.where(masks.begins, values, filler), order, batch_dims=1)

    nowhere = tf.constant(NO_PLACE, tf.int64)
    return {
        SPAN_LABELS: collected(names, tf.constant("")),
        SPAN_STARTS: collected(starts, nowhere),
        SPAN_ENDS: collected(tf.gather(ends, last, batch_dims=1), nowhere),
    }
