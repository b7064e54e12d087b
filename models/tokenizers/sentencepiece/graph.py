"""SentencePiece Unigram in the TensorFlow graph, equal to the Hugging Face fast tokenizer token for token.

    spec = load_spec(checkpoint_dir)
    tokenize(tf.constant(["Who was Galileo?"]), spec)
    # <tf.RaggedTensor [[20469, 509, 79421, 32]]>

Texts are normalized by tables (`normalize.py`) and split into words. Words that are one piece are looked up; the others
get their most probable pieces (`viterbi.py`), each different word of a batch once. Everything is a constant of the graph,
and all ops are core TensorFlow's.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from models.tokenizers.segments import CUT, WHITE_SPACE, interleaved, tokenize_between, valid_utf8
from models.tokenizers.sentencepiece.characters import punctuation
from models.tokenizers.sentencepiece.normalize import normalize
from models.tokenizers.sentencepiece.pieces import piece_trie
from models.tokenizers.sentencepiece.spec import SentencepieceSpec
from models.tokenizers.sentencepiece.steps import META, Metaspace, Punctuation, Splitter
from models.tokenizers.sentencepiece.viterbi import best_pieces
from models.tokenizers.sentencepiece.words import found_words, word_table


def tokenize(texts: tf.Tensor, spec: SentencepieceSpec) -> tf.RaggedTensor:
    """Token ids without special tokens: `["Who was"]` -> `[[20469, 509]]`.

    Args:
        texts: string [batch], UTF-8. Bytes that are not UTF-8 count as U+FFFD, as in Python's
            `bytes.decode(errors="replace")`.
        spec: the tokenization.

    Returns:
        int64 [batch, None], all tokens of every text.
    """

    def of_segments(segments: tf.Tensor) -> tf.RaggedTensor:
        texts = normalize(segments, spec.normalizers)
        return tokenize_between(texts, spec.normalized_tokens, functools.partial(_tokens, spec=spec))

    return tokenize_between(valid_utf8(texts), spec.raw_tokens, of_segments)


def _tokens(texts: tf.Tensor, spec: SentencepieceSpec) -> tf.RaggedTensor:
    """Token ids of normalized texts without added tokens: string [n] -> int64 [n, None]."""
    parts = _each_whole(texts)
    for splitter in spec.splitters:
        parts = _split(parts, splitter)
    words = _words(parts.flat_values, spec.metaspace)
    ids = _word_ids(words.flat_values, _prefix(spec.metaspace), spec)
    splits = tf.gather(ids.row_splits, tf.gather(words.row_splits, parts.row_splits))
    return tf.RaggedTensor.from_row_splits(ids.flat_values, splits, validate=False)


# --- words ----------------------------------------------------------------------------------------------


def _each_whole(texts: tf.Tensor) -> tf.RaggedTensor:
    """`["a", "b"]` -> `[["a"], ["b"]]`."""
    return tf.RaggedTensor.from_row_splits(texts, tf.range(tf.size(texts, tf.int64) + 1), validate=False)


def _split(parts: tf.RaggedTensor, splitter: Splitter) -> tf.RaggedTensor:
    """The parts of texts, split further: string [n, None]."""
    if isinstance(splitter, Punctuation):
        cut = tf.strings.regex_replace(parts.flat_values, _punctuation(), CUT + b"\\0" + CUT)
    else:
        cut = tf.strings.regex_replace(parts.flat_values, WHITE_SPACE.replace("]*", "]+"), CUT)
    pieces = tf.strings.split(cut, CUT)
    return _without_empty(pieces.with_row_splits_dtype(tf.int64), parts.row_splits)


def _without_empty(pieces: tf.RaggedTensor, splits: tf.Tensor) -> tf.RaggedTensor:
    """The texts of each row's parts, [parts, None], as one row again: [n, None]; `splits`: of the rows into parts."""
    kept = pieces.flat_values != ""
    before = tf.concat([[0], tf.cumsum(tf.cast(kept, tf.int64))], axis=0)
    return tf.RaggedTensor.from_row_splits(
        tf.boolean_mask(pieces.flat_values, kept),
        tf.gather(before, tf.gather(pieces.row_splits, splits)),
        validate=False,
    )


@functools.cache
def _punctuation() -> str:
    """RE2 for one punctuation character of the Rust tokenizer."""
    codes = punctuation()
    first = codes[np.flatnonzero(np.diff(codes, prepend=-2) > 1)]
    last = codes[np.flatnonzero(np.diff(codes, append=codes[-1] + 2) > 1)]
    ranges = (f"\\x{{{begin:x}}}-\\x{{{end:x}}}" for begin, end in zip(first, last, strict=True))
    return f"[{''.join(ranges)}]"


def _prefix(metaspace: Metaspace) -> str:
    """What all words begin with, and `_words` leaves out."""
    return META if metaspace.split and metaspace.prepend == "always" else ""


def _words(parts: tf.Tensor, metaspace: Metaspace) -> tf.RaggedTensor:
    """`["a b", " c"]` -> `[["a", "b"], ["c"]]`, without `_prefix`: string [n] -> string [n, None]. No part has no words."""
    if not metaspace.split:
        written = tf.strings.regex_replace(parts, " ", META)
        if metaspace.prepend == "always":
            written = tf.strings.regex_replace(written, f"^([^{META}])", f"{META}\\1", replace_global=False)
        return _without_empty(_each_whole(written), tf.range(tf.size(parts, tf.int64) + 1))
    # From here on, spaces are what begins words.
    spaced = tf.strings.regex_replace(parts, META, " ")
    if metaspace.prepend == "never":
        cut = tf.strings.regex_replace(spaced, " ", CUT + META.encode())
        words = tf.strings.split(cut, CUT).with_row_splits_dtype(tf.int64)
        return _without_empty(words, tf.range(tf.size(parts, tf.int64) + 1))
    words = tf.strings.split(tf.strings.regex_replace(spaced, "^ ", "", replace_global=False), " ")
    return _without_rows(words.with_row_splits_dtype(tf.int64), parts == "")


def _without_rows(words: tf.RaggedTensor, is_empty: tf.Tensor) -> tf.RaggedTensor:
    """The same with no words in the rows that are empty; they have one, the empty text."""

    def emptied() -> tuple[tf.Tensor, tf.Tensor]:
        lengths = tf.where(is_empty, tf.zeros_like(words.row_lengths()), words.row_lengths())
        kept = tf.repeat(tf.logical_not(is_empty), words.row_lengths())
        return tf.boolean_mask(words.flat_values, kept), tf.concat([[0], tf.cumsum(lengths)], axis=0)

    values, splits = tf.cond(tf.reduce_any(is_empty), emptied, lambda: (words.flat_values, words.row_splits))
    return tf.RaggedTensor.from_row_splits(values, splits, validate=False)


# --- pieces ---------------------------------------------------------------------------------------------


def _word_ids(words: tf.Tensor, prefix: str, spec: SentencepieceSpec) -> tf.RaggedTensor:
    """The ids of the pieces of words that lack their `prefix`: string [n] -> int64 [n, None]."""
    is_whole, whole = found_words(words, word_table(spec, prefix))
    different, index = tf.unique(tf.boolean_mask(words, tf.logical_not(is_whole)))
    pieces = best_pieces(tf.strings.join([prefix, different]), piece_trie(spec), spec.unk_id)
    of_whole = tf.cast(tf.boolean_mask(whole, is_whole), tf.int64)
    return interleaved(is_whole, of_whole, tf.gather(pieces, index))
