"""Words of raw texts in the graph, and their tokens: which word each token is of is known without any offsets.

    words = find_words(tf.constant(["Dr. Who"]), "whitespace")
    # texts [["Dr.", "Who"]], starts [[0, 4]], ends [[3, 7]]
    encode_words(words.texts, graph.tokenize, spec, max_length=128)
    # {"input_ids": [[101, 2852, 1012, 2040, 102]], "word_index": [[-1, 0, 0, 1, -1]]}

Each word is tokenized alone, as Hugging Face does with `is_split_into_words=True`, so ids and words are those of the fast
tokenizer's `input_ids` and `word_ids()`. Offsets of tokens are not used: they would be those of normalized text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from models.features import NO_WORD, WORD_INDEX
from models.tokenizers.family import Spec
from models.tokenizers.packing import pack, pack_beside
from models.tokenizers.segments import valid_utf8
from models.tokenizers.word_rules import ISOLATED, LETTER, PAGE, SPACE, WordRule, kind_table


class Words(NamedTuple):
    """Words of texts: string [batch, None], and where they start and end in code points, int64 [batch, None]."""

    texts: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


def find_words(texts: tf.Tensor, rule: WordRule) -> Words:
    """The words of raw texts; those of `word_rules.split_words`.

    Args:
        texts: string [batch], UTF-8. Bytes that are not UTF-8 count as U+FFFD, as in Python's
            `bytes.decode(errors="replace")`.
        rule: what ends a word.
    """
    codes = tf.strings.unicode_decode(valid_utf8(texts), "UTF-8", errors="replace")
    values, splits = codes.flat_values, tf.cast(codes.row_splits, tf.int64)
    places = tf.range(tf.size(values, tf.int64)) - tf.repeat(splits[:-1], splits[1:] - splits[:-1])
    kinds = _kinds(values, rule)
    before = tf.where(places == 0, SPACE, tf.concat([[SPACE], kinds[:-1]], axis=0))
    begins = (kinds == ISOLATED) | ((kinds == LETTER) & (before != LETTER))
    in_word = kinds != SPACE
    first = tf.where(tf.boolean_mask(begins, in_word))[:, 0]
    characters = tf.boolean_mask(values, in_word)
    of_words = tf.concat([first, tf.size(characters, tf.int64)[tf.newaxis]], axis=0)
    written = tf.strings.unicode_encode(
        tf.RaggedTensor.from_row_splits(characters, of_words, validate=False), "UTF-8"
    )
    starts = tf.boolean_mask(places, begins)
    before_each = tf.concat([[0], tf.cumsum(tf.cast(begins, tf.int64))], axis=0)
    rows = tf.RaggedTensor.from_row_splits(written, tf.gather(before_each, splits), validate=False)
    ends = starts + of_words[1:] - of_words[:-1]
    return Words(rows, rows.with_flat_values(starts), rows.with_flat_values(ends))


def _kinds(codes: tf.Tensor, rule: WordRule) -> tf.Tensor:
    """int32 [n] -> LETTER, SPACE or ISOLATED, int32 [n]."""
    table = kind_table(rule)
    pages = tf.gather(tf.constant(table.pages), tf.bitwise.right_shift(codes, PAGE.bit_length() - 1))
    cells = pages * PAGE + tf.bitwise.bitwise_and(codes, PAGE - 1)
    return tf.cast(tf.gather(tf.constant(table.cells), cells), tf.int32)


def encode_words(
    words: tf.RaggedTensor,
    tokenize: Callable[[tf.Tensor, Any], tf.RaggedTensor],
    spec: Spec,
    max_length: int,
) -> dict[str, tf.RaggedTensor]:
    """Model inputs of texts that are split into words.

    Args:
        words: string [batch, None].
        tokenize: of the family's graph.
        spec: the tokenization of words, `family.word_spec`.
        max_length: maximum tokens of a row, special tokens included. Words at the end of a longer row have no tokens.

    Returns:
        As `packing.encode`, and WORD_INDEX, int64 [batch, <= max_length]: the number of each token's word in its row;
        NO_WORD for special tokens. A word that the tokenizer gives no token, such as a soft hyphen, has none.

    Raises:
        PipelineError: the special tokens alone are more than `max_length`.
    """
    by_word = tokenize(words.flat_values, spec)
    splits = tf.gather(by_word.row_splits, words.row_splits)
    tokens = tf.RaggedTensor.from_row_splits(by_word.flat_values, splits, validate=False)
    numbers = tf.gather(tf.ragged.range(words.row_lengths()).flat_values, by_word.value_rowids())
    index = tokens.with_flat_values(tf.cast(numbers, tf.int64))
    return pack([tokens], spec, max_length) | {WORD_INDEX: pack_beside(index, NO_WORD, spec, max_length)}
