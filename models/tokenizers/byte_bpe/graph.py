"""Byte-level BPE in the TensorFlow graph, equal to the Hugging Face fast tokenizer token for token.

    spec = load_spec(checkpoint_dir)
    tokenize(tf.constant(["Who was Galileo?"]), spec)
    # <tf.RaggedTensor [[12375, 21, 9076, 37649, 17, 116]]>

All texts of a batch are one array of bytes. Each character has a class, and words begin where three neighbours say so;
the words that are one token are looked up in a table by their bytes, and SentencePiece joins the bytes of the others, each
different word of a batch once. Everything is a constant of the graph. Ops beyond core TensorFlow: SentencepieceOp and
SentencepieceTokenizeOp.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_text as tf_text

from models.tokenizers.byte_bpe.characters import (
    EDGE,
    OTHER,
    OTHER_SPACE,
    PAGE,
    SPACE,
    character_classes,
    character_table,
)
from models.tokenizers.byte_bpe.spec import BYTE_CHARACTERS, ByteBpeSpec
from models.tokenizers.byte_bpe.words import KEY_BYTES, MIX, WordTable, merging_model, word_table
from models.tokenizers.segments import interleaved, passes, tokenize_between, valid_utf8

EDGE_BYTE = b"\xff"  # in no UTF-8 text
UTF8_BYTES = 4  # of a code point, at most
KINDS = EDGE + 1
APOSTROPHE = ord("'")
SUFFIXES = ("s", "t", "m", "d", "re", "ve", "ll")  # GPT-2's pattern keeps them together with an apostrophe


def tokenize(texts: tf.Tensor, spec: ByteBpeSpec) -> tf.RaggedTensor:
    """Token ids without special tokens: `["Who was"]` -> `[[12375, 21]]`.

    Args:
        texts: string [batch], UTF-8. Bytes that are not UTF-8 count as U+FFFD, as in Python's
            `bytes.decode(errors="replace")`.
        spec: the tokenization.

    Returns:
        int64 [batch, None], all tokens of every text.
    """
    segments_to_ids = functools.partial(_tokenize_segments, spec=spec)
    for tokens in reversed(passes(spec.found)):
        segments_to_ids = functools.partial(tokenize_between, tokens=tokens, tokenize=segments_to_ids)
    return segments_to_ids(valid_utf8(texts))


def _tokenize_segments(segments: tf.Tensor, spec: ByteBpeSpec) -> tf.RaggedTensor:
    """Token ids of texts without added tokens: string [n] -> int64 [n, None]."""
    if spec.add_prefix_space:
        segments = tf.strings.regex_replace(segments, "^([^ ])", r" \1")
    joined = tf.strings.reduce_join(tf.concat([[""], segments, [""]], axis=0), separator=EDGE_BYTE)
    content = tf.io.decode_raw(joined, tf.uint8)
    starts, first_bytes, classes = _characters(content)
    is_start = _word_starts(content, starts, first_bytes, classes)
    characters = tf.where(is_start)[:, 0]
    first = tf.gather(starts, characters)
    lengths = tf.concat([first[1:], tf.size(content, tf.int64)[tf.newaxis]], axis=0) - first
    is_edge = tf.gather(classes, characters) == EDGE
    words, edges = tf.where(tf.logical_not(is_edge))[:, 0], tf.where(is_edge)[:, 0]
    ids = _word_ids(content, tf.gather(first, words), tf.gather(lengths, words), spec)
    words_before = edges - tf.range(tf.size(edges, tf.int64))
    return tf.RaggedTensor.from_row_splits(ids, words_before, validate=False).merge_dims(1, 2)


def _characters(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Of each character: where it begins, int64, its first byte, uint8, and its class, uint8; all [characters].

    `content`: uint8 [bytes], valid UTF-8 between edges.
    """
    is_ascii = tf.reduce_all((content < 0x80) | (content == EDGE_BYTE[0]))
    classes = np.append(character_classes()[:0xFF], np.uint8(EDGE))
    of_bytes = tf.gather(tf.constant(classes), tf.cast(content, tf.int32))
    return tf.cond(
        is_ascii,
        lambda: (tf.range(tf.size(content, tf.int64)), tf.identity(content), tf.identity(of_bytes)),
        lambda: _utf8_characters(content, of_bytes),
    )


def _utf8_characters(content: tf.Tensor, of_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    leads = tf.where((content >= 0xC0) & (content != EDGE_BYTE[0]))
    of_bytes = tf.tensor_scatter_nd_update(of_bytes, leads, _classes_at(content, leads[:, 0]))
    starts = tf.where(tf.bitwise.bitwise_and(content, 0xC0) != 0x80)[:, 0]
    return starts, tf.gather(content, starts), tf.gather(of_bytes, starts)


def _classes_at(content: tf.Tensor, leads: tf.Tensor) -> tf.Tensor:
    """The classes of characters of several bytes, by where they begin: int64 [n] -> uint8 [n]."""
    # An edge follows every text; what is read past it is not used.
    last = tf.size(content, tf.int64) - 1
    first, *others = (
        tf.cast(tf.gather(content, tf.minimum(leads + i, last)), tf.int32) for i in range(UTF8_BYTES)
    )
    second, third, fourth = (tf.bitwise.bitwise_and(byte, 0x3F) for byte in others)
    two = (first - 0xC0) * 0x40 + second
    three = (first - 0xE0) * 0x1000 + second * 0x40 + third
    four = (first - 0xF0) * 0x40000 + second * 0x1000 + third * 0x40 + fourth
    codes = tf.where(first < 0xE0, two, tf.where(first < 0xF0, three, four))
    table = character_table()
    cells = tf.gather(tf.constant(table.pages), tf.bitwise.right_shift(codes, 8)) * PAGE
    return tf.gather(tf.constant(table.cells.reshape(-1)), cells + tf.bitwise.bitwise_and(codes, PAGE - 1))


def _word_starts(
    content: tf.Tensor, starts: tf.Tensor, first_bytes: tf.Tensor, classes: tf.Tensor
) -> tf.Tensor:
    """Whether a word begins at a character, bool [characters]; an edge counts as a word."""
    edge = tf.constant([EDGE], tf.uint8)
    before, after = tf.concat([edge, classes[:-1]], axis=0), tf.concat([classes[1:], edge], axis=0)
    index = tf.cast((before * KINDS + classes) * KINDS + after, tf.int32)  # below 256
    is_start = tf.gather(tf.constant(_starts_by_classes()), index)
    places = tf.where(first_bytes == APOSTROPHE)[:, 0]
    suffixes = _suffix_lengths(content, tf.gather(starts, places))
    # Other punctuation, or a space, takes an apostrophe along that follows it.
    previous = tf.gather(before, places)
    parts = tf.where((suffixes > 0) & (previous != OTHER) & (previous != SPACE))[:, 0]
    places, suffixes = tf.gather(places, parts), tf.gather(suffixes, parts)
    return tf.tensor_scatter_nd_update(
        is_start,
        tf.concat([places + 1, places + 1 + suffixes], axis=0)[:, tf.newaxis],
        tf.concat([tf.zeros_like(places, tf.bool), tf.ones_like(places, tf.bool)], axis=0),
    )


@functools.cache
def _starts_by_classes() -> npt.NDArray[np.bool_]:
    """Whether a word begins at a character, by the classes of the one before, its own and that of the one after.

    Of several spaces, the last one belongs to the word after it, if it is a plain space; another stays alone.
    """
    spaces = (SPACE, OTHER_SPACE)

    def is_start(before: int, kind: int, after: int) -> bool:
        if EDGE in (before, kind):
            return True
        if kind in spaces:
            return before not in spaces or after not in (*spaces, EDGE)
        return before != SPACE and before != kind

    return np.array([is_start(*kinds) for kinds in itertools.product(range(KINDS), repeat=3)])


def _suffix_lengths(content: tf.Tensor, apostrophes: tf.Tensor) -> tf.Tensor:
    """Letters after each apostrophe that stay with it: `'s` -> 1, `'re` -> 2, `'x` -> 0. int64 [n] -> int64 [n]."""
    # Every text ends with an edge, so only the second letter may be past the end.
    first = tf.cast(tf.gather(content, apostrophes + 1), tf.int64)
    last = tf.size(content, tf.int64) - 1
    second = tf.cast(tf.gather(content, tf.minimum(apostrophes + 2, last)), tf.int64)
    return tf.gather(tf.constant(_lengths_by_letters()), first * 256 + second)


@functools.cache
def _lengths_by_letters() -> npt.NDArray[np.int64]:
    """Letters that stay with an apostrophe, by the two bytes after it: int64 [256 * 256]."""
    lengths = np.zeros((256, 256), np.int64)
    for suffix in SUFFIXES:
        if len(suffix) == 2:
            lengths[ord(suffix[0]), ord(suffix[1])] = 2
        else:
            lengths[ord(suffix)] = 1
    return lengths.reshape(-1)


def _word_ids(
    content: tf.Tensor, starts: tf.Tensor, lengths: tf.Tensor, spec: ByteBpeSpec
) -> tf.RaggedTensor:
    """Token ids of words: where they begin and how many bytes they have, int64 [n] -> int64 [n, None]."""
    is_whole, whole = _looked_up(content, starts, lengths, spec)
    others = tf.where(tf.logical_not(is_whole))[:, 0]
    merged = _merged(content, tf.gather(starts, others), tf.gather(lengths, others), spec)
    return interleaved(is_whole, tf.boolean_mask(whole, is_whole), merged)


def _looked_up(
    content: tf.Tensor, starts: tf.Tensor, lengths: tf.Tensor, spec: ByteBpeSpec
) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether a word is one token, and which: bool [n], int64 [n]."""
    table = word_table(spec)
    padded = tf.concat([content, tf.zeros([KEY_BYTES], tf.uint8)], axis=0)
    key_bytes = tf.gather(padded, starts[:, tf.newaxis] + tf.range(KEY_BYTES, dtype=tf.int64))
    known = tf.minimum(lengths, KEY_BYTES)
    masks, ends = _key_parts()
    key_bytes = tf.bitwise.bitwise_or(
        tf.bitwise.bitwise_and(key_bytes, tf.gather(tf.constant(masks), known)),
        tf.gather(tf.constant(ends), known),
    )
    keys = tf.bitcast(tf.reshape(key_bytes, [-1, 2, 8]), tf.uint64)
    slots = _slots(keys, table)
    is_whole = tf.reduce_all(tf.gather(tf.constant(table.keys), slots) == keys, axis=1)
    return is_whole, tf.cast(tf.gather(tf.constant(table.ids), slots), tf.int64)


@functools.cache
def _key_parts() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """What a key keeps of KEY_BYTES bytes for a word of i bytes, and its last byte: uint8 [KEY_BYTES + 1, KEY_BYTES].

    Longer words have a key that no slot has.
    """
    masks = np.tril(np.full((KEY_BYTES + 1, KEY_BYTES), 0xFF, np.uint8), -1)
    ends = np.zeros_like(masks)
    ends[:, -1] = np.arange(KEY_BYTES + 1)
    masks[KEY_BYTES] = 0
    return masks, ends


def _slots(keys: tf.Tensor, table: WordTable) -> tf.Tensor:
    """As `words.slot_of` in NumPy: uint64 [n, 2] -> int64 [n]."""
    one, two, three, four = (tf.constant(number, tf.uint64) for number in MIX)

    def top(values: tf.Tensor, size: int) -> tf.Tensor:
        return tf.cast(
            tf.bitwise.right_shift(values, tf.constant(65 - size.bit_length(), tf.uint64)), tf.int64
        )

    def folded(values: tf.Tensor) -> tf.Tensor:
        return tf.bitwise.bitwise_xor(values, tf.bitwise.right_shift(values, tf.constant(32, tf.uint64)))

    mixed = folded(tf.bitwise.bitwise_xor(folded(keys[:, 0] * one), keys[:, 1]) * two) * three
    shifts = tf.gather(tf.constant(table.shifts), top(mixed, len(table.shifts)))
    return top(tf.bitwise.bitwise_xor(mixed, shifts * four) * one, len(table.ids))


def _merged(content: tf.Tensor, starts: tf.Tensor, lengths: tf.Tensor, spec: ByteBpeSpec) -> tf.RaggedTensor:
    """Token ids of words that are no token: each different one goes through SentencePiece once."""
    splits = tf.concat([[0], tf.cumsum(lengths)], axis=0)
    places = tf.range(splits[-1]) + tf.repeat(starts - splits[:-1], lengths)
    characters = tf.gather(
        tf.constant([ord(character) for character in BYTE_CHARACTERS]),
        tf.cast(tf.gather(content, places), tf.int32),
    )
    words = tf.strings.unicode_encode(
        tf.RaggedTensor.from_row_splits(characters, splits, validate=False), "UTF-8"
    )
    different, index = tf.unique(words)
    tokens = tf_text.SentencepieceTokenizer(model=merging_model(spec)).tokenize(different)
    return tf.cast(tf.gather(tokens, index), tf.int64)
