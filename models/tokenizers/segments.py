"""Texts cut at their added tokens, so that what is between them is tokenized on its own.

    def words(segments): ...  # string [n] -> ragged int64 [n, None]
    tokenize_between(tf.constant(["Good <mask>."]), (FoundToken("<mask>", 4, lstrip=True),), words)
    # words(["Good", "."]) with [4] between them: <tf.RaggedTensor [[205, 4, 4]]>

Tokens are found as the Rust tokenizer finds them (its AddedVocabulary): from the left, the longest where several begin at
one place; `lstrip` and `rstrip` take the white space beside a token along. Tokens that are found in normalized text come
second, in each segment that the others leave:

    tokenize_between(texts, raw, lambda segments: tokenize_between(normalize(segments), normalized, words))

`added_tokens.found_tokens` refuses what could be found otherwise here than there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import tensorflow as tf

from models.tokenizers.added_tokens import FoundToken, may_overlap

# A byte that no UTF-8 text has.
CUT = b"\xff"
VALID_UTF8 = r"[\x{0}-\x{d7ff}\x{e000}-\x{10ffff}]*"
# The regex crate's \s, which is Unicode's White_Space.
WHITE_SPACE = r"[\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]*"


def valid_utf8(texts: tf.Tensor) -> tf.Tensor:
    """Texts whose bytes that are not UTF-8 are U+FFFD, as in Python's `bytes.decode(errors="replace")`: string [n]."""
    return tf.cond(
        tf.reduce_all(tf.strings.regex_full_match(texts, VALID_UTF8)),
        lambda: tf.identity(texts),
        lambda: tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace"),
    )


def tokenize_between(
    texts: tf.Tensor,
    tokens: Sequence[FoundToken],
    tokenize: Callable[[tf.Tensor], tf.RaggedTensor],
) -> tf.RaggedTensor:
    """Token ids of texts: those of `tokens` where they are found, and between them what `tokenize` gives.

    Args:
        texts: string [batch], valid UTF-8.
        tokens: as `found_tokens` accepts them.
        tokenize: string [segments] -> ragged int64 [segments, None]; an empty segment has no tokens.

    Returns:
        int64 [batch, None].
    """
    if not tokens:
        return tokenize(texts)
    found = tf.logical_not(
        tf.reduce_all(tf.strings.regex_full_match(texts, f"[^{_first_characters(tokens)}]*"))
    )
    pieces, is_token, splits = tf.cond(found, lambda: _pieces(texts, tokens), lambda: _whole(texts))
    segments = tf.cond(
        found, lambda: tf.boolean_mask(pieces, tf.logical_not(is_token)), lambda: tf.identity(pieces)
    )
    of_segments = tokenize(segments)

    def joined() -> tuple[tf.Tensor, tf.Tensor]:
        of_tokens = _ids(tf.boolean_mask(pieces, is_token), tokens)
        of_pieces = interleaved(is_token, of_tokens, of_segments)
        return of_pieces.flat_values, tf.gather(of_pieces.row_splits, splits)

    values, row_splits = tf.cond(found, joined, lambda: (of_segments.flat_values, of_segments.row_splits))
    return tf.RaggedTensor.from_row_splits(values, row_splits, validate=False)


def passes(tokens: Sequence[FoundToken]) -> list[tuple[FoundToken, ...]]:
    """The tokens in the order in which they are found, where nothing is normalized: one pass, if that does the same."""
    raw, normalized = (tuple(token for token in tokens if token.normalized is kind) for kind in (False, True))
    spaces = any(character.isspace() for token in tokens for character in token.content)
    strips = any(token.lstrip or token.rstrip for token in tokens)
    apart = not any(may_overlap([one.content, other.content]) for one in raw for other in normalized)
    if apart and not (spaces and strips):
        return [tuple(tokens)] if tokens else []
    return [tokens for tokens in (raw, normalized) if tokens]


def _first_characters(tokens: Sequence[FoundToken]) -> str:
    return "".join(sorted({re.escape(token.content[0]) for token in tokens}))


def _whole(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Texts that have no token, as `_pieces` returns them."""
    return tf.identity(texts), tf.zeros_like(texts, tf.bool), tf.range(tf.size(texts, tf.int64) + 1)


def _pieces(texts: tf.Tensor, tokens: Sequence[FoundToken]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Segments and tokens of all texts, which of them are tokens, and where each text begins.

    string [pieces], bool [pieces], int64 [batch + 1].
    """
    pieces = tf.strings.split(tf.strings.regex_replace(texts, _pattern(tokens), CUT + b"\\0" + CUT), CUT)
    starts = tf.gather(pieces.row_starts(), pieces.value_rowids())
    is_token = tf.math.floormod(tf.range(tf.size(pieces.flat_values, tf.int64)) - starts, 2) == 1
    kept = is_token | (pieces.flat_values != "")
    before = tf.concat([[0], tf.cumsum(tf.cast(kept, tf.int64))], axis=0)
    splits = tf.gather(before, pieces.row_splits)
    return tf.boolean_mask(pieces.flat_values, kept), tf.boolean_mask(is_token, kept), splits


def _pattern(tokens: Sequence[FoundToken]) -> str:
    """RE2 takes the first alternative that fits, so the longest come first."""
    longest_first = sorted(tokens, key=lambda token: len(token.content), reverse=True)
    return "|".join(
        (WHITE_SPACE if token.lstrip else "")
        + re.escape(token.content)
        + (WHITE_SPACE if token.rstrip else "")
        for token in longest_first
    )


def _ids(pieces: tf.Tensor, tokens: Sequence[FoundToken]) -> tf.Tensor:
    """`[" <mask>"]` -> `[4]`: string [n] -> int64 [n]."""
    if any(token.lstrip or token.rstrip for token in tokens):
        pieces = tf.strings.regex_replace(pieces, f"^{WHITE_SPACE}|{WHITE_SPACE}$", "")
    same = pieces[:, tf.newaxis] == tf.constant([token.content for token in tokens])
    return tf.gather(tf.constant([token.id for token in tokens], tf.int64), tf.argmax(same, axis=1))


def interleaved(is_single: tf.Tensor, singles: tf.Tensor, others: tf.RaggedTensor) -> tf.RaggedTensor:
    """`[True, False, True], [1, 2], [[3, 4]]` -> `[[1], [3, 4], [2]]`.

    Args:
        is_single: bool [n], whether a row is one of `singles`.
        singles: int64 [as many as is_single has], rows of one value.
        others: int64 [the others of n, None].

    Returns:
        int64 [n, None].
    """
    places = tf.where(tf.logical_not(is_single))
    lengths = tf.tensor_scatter_nd_update(tf.ones_like(is_single, tf.int64), places, others.row_lengths())
    ends = tf.cumsum(lengths)
    starts = ends - lengths
    of_others = tf.repeat(tf.gather_nd(starts, places) - others.row_starts(), others.row_lengths())
    index = tf.concat(
        [
            of_others + tf.range(tf.size(others.flat_values, tf.int64)),
            tf.boolean_mask(starts, is_single),
        ],
        axis=0,
    )
    values = tf.scatter_nd(
        index[:, tf.newaxis], tf.concat([others.flat_values, singles], axis=0), tf.shape(index, tf.int64)
    )
    return tf.RaggedTensor.from_row_splits(values, tf.concat([[0], ends], axis=0), validate=False)
