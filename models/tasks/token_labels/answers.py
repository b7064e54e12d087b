"""What a model answers for a text: its words with their tags, and the spans of tagged words, in code points of the raw text."""

from __future__ import annotations

import tensorflow as tf

from models.features import (
    CLASSES,
    CUT_WORDS,
    ENDS,
    SPAN_ENDS,
    SPAN_LABELS,
    SPAN_STARTS,
    STARTS,
    TAGS,
    WORD_SCORES,
    WORDS,
)
from models.tasks.text_words import TextWords
from models.tasks.token_labels.decoding import by_word, predicted_tags, span_masks
from models.tasks.token_labels.spans import NO_TAG
from models.tasks.token_labels.tags import TagTable, tag_table

# What the end of a row is filled up with, beside "" and 0.
NO_PLACE = -1


def answers(logits: tf.Tensor, classes: tf.Tensor, words: TextWords) -> dict[str, tf.Tensor]:
    """The outputs of words that `models.features` lists, and CLASSES, string [batch, tags].

    A word that the tokenizer gives no token, such as a soft hyphen, is tagged O with a score of 0. With many of them a word can be past
    `width` although it has a token: it has no answer, and is counted in CUT_WORDS like those without room.

    Args:
        logits: float32 [batch, tokens, tags].
        classes: the tags in order of their ids, string [tags].
        words: of the texts.
    """
    word_index, table, width = words.index, tag_table(words.labels), words.width
    ends_of_words = tf.reduce_max(word_index, axis=1, keepdims=True) + 1  # of those with tokens
    starts, ends = (places.to_tensor(NO_PLACE, shape=[None, width]) for places in (words.starts, words.ends))
    is_tagged = (starts != NO_PLACE) & (tf.range(width) < ends_of_words)
    tags = tf.where(is_tagged, predicted_tags(logits, word_index, width, table), NO_TAG)
    highest = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
    rows = tf.size(ends_of_words)
    return {
        WORDS: tf.where(is_tagged, words.texts.to_tensor("", shape=[None, width]), ""),
        TAGS: tf.where(is_tagged, tf.gather(classes, tf.maximum(tags, 0)), ""),
        WORD_SCORES: by_word(highest, word_index, width, 0.0),
        STARTS: tf.where(is_tagged, starts, NO_PLACE),
        ENDS: tf.where(is_tagged, ends, NO_PLACE),
        **_spans(tags, starts, ends, table),
        CUT_WORDS: words.starts.row_lengths()
        - tf.cast(tf.squeeze(tf.minimum(ends_of_words, width), 1), tf.int64),
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
