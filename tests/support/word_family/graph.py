"""Words in the TensorFlow graph."""

from __future__ import annotations

import re

import tensorflow as tf

from tests.support.word_family.spec import WordSpec

WHITE_SPACE = r"[\t-\r\x{85}\p{Z}]+"


def tokenize(texts: tf.Tensor, spec: WordSpec) -> tf.RaggedTensor:
    """`["the cat"]` -> `[[5, 6]]`: string [batch] -> ragged int64 [batch, None]."""
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")  # what is not UTF-8 becomes U+FFFD
    texts = tf.strings.regex_replace(texts, WHITE_SPACE, " ")
    for token, _ in spec.added_tokens:
        texts = tf.strings.regex_replace(texts, re.escape(token), f" {token} ")
    words = tf.strings.split(tf.strings.regex_replace(tf.strings.strip(texts), " +", " "), " ")
    words = tf.ragged.boolean_mask(words, words != "")
    same = words.flat_values[:, tf.newaxis] == tf.constant(spec.vocab)
    ids = tf.where(tf.reduce_any(same, 1), tf.argmax(same, 1), spec.vocab.index(spec.unk_token))
    return words.with_flat_values(ids)
