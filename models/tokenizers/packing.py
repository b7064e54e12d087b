"""From token ids to a model's inputs: the special tokens, the cut at the maximum length, the token types.

    graph, spec = family_of(folder).load_graph(), load_spec(folder)
    encode([tf.constant(["Who was Galileo ?"])], graph.tokenize, spec, max_length=128)
    # {"input_ids": <tf.RaggedTensor [[101, 2040, 2001, 21514, 1029, 102]]>}

Rows are cut at the end and not padded: who makes batches of them pads on the right. Tokenizers that do either
on the left are refused (`tokenizer_files.py`), except for encoders whose forward pass moves the padding itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from models.errors import PipelineError
from models.features import INPUT_IDS, TOKEN_TYPE_IDS
from models.tokenizers.family import FIRST, SECOND, Spec, Template, special_tokens


def encode(
    texts: Sequence[tf.Tensor],
    tokenize: Callable[[tf.Tensor, Any], tf.RaggedTensor],
    spec: Spec,
    max_length: int,
) -> dict[str, tf.RaggedTensor]:
    """`[["Who was Galileo ?"]]` -> `{"input_ids": [[101, 2040, 2001, 21514, 1029, 102]]}`.

    Args:
        texts: one string [batch], or two for pairs.
        tokenize: of the family's graph.
        spec: the tokenization.
        max_length: maximum tokens of a row, special tokens included. Of a pair the longer text is cut first, as
            Hugging Face's `truncation=True` does.

    Returns:
        INPUT_IDS, and TOKEN_TYPE_IDS if the tokenizer gives token types and the template has others than 0; both
        int64 [batch, <= max_length].

    Raises:
        PipelineError: the special tokens alone are more than `max_length`.
    """
    return pack(_tokens(texts, tokenize, spec), spec, max_length)


def pack(tokens: Sequence[tf.RaggedTensor], spec: Spec, max_length: int) -> dict[str, tf.RaggedTensor]:
    """The same of token ids without special tokens, those of one text or of two: int64 [batch, None] each."""
    template, kept = _template_and_kept(tokens, spec, max_length)
    parts = dict(zip((FIRST, SECOND), map(_head, tokens, kept), strict=False))
    ids = _joined(template, parts, lambda token_id: token_id)
    if not spec.token_types or not any(kind for _, kind in template):
        return {INPUT_IDS: ids}
    types = _token_types(template, dict(zip((FIRST, SECOND), kept, strict=False)))
    return {INPUT_IDS: ids, TOKEN_TYPE_IDS: ids.with_flat_values(types)}


def pack_beside(values: tf.RaggedTensor, special: int, spec: Spec, max_length: int) -> tf.RaggedTensor:
    """A value for each token of one text, at the places where `pack` has the token; `special` at special tokens.

    `[[0, 0, 1]]` -> `[[-1, 0, 0, 1, -1]]`: int64 [batch, None] -> int64 [batch, <= max_length].
    """
    template, kept = _template_and_kept([values], spec, max_length)
    return _joined(template, {FIRST: _head(values, kept[0])}, lambda _: special)


def _template_and_kept(
    tokens: Sequence[tf.RaggedTensor], spec: Spec, max_length: int
) -> tuple[Template, Sequence[tf.Tensor]]:
    """What a row consists of, and how many tokens of each text stay."""
    template = spec.single if len(tokens) == 1 else spec.pair
    room = max_length - special_tokens(template)
    if room < 0:
        raise PipelineError(
            f"a maximum of {max_length} tokens has no room for {max_length - room} special tokens"
        )
    return template, _kept([part.row_lengths() for part in tokens], room)


def _joined(
    template: Template, parts: dict[str, tf.RaggedTensor], of_special: Callable[[int], int]
) -> tf.RaggedTensor:
    rows = parts[FIRST].nrows()
    return tf.concat(
        [
            _constant(of_special(piece), rows) if isinstance(piece, int) else parts[piece]
            for piece, _ in template
        ],
        axis=1,
    )


def _tokens(
    texts: Sequence[tf.Tensor], tokenize: Callable[[tf.Tensor, Any], tf.RaggedTensor], spec: Spec
) -> list[tf.RaggedTensor]:
    """Each text's token ids, of one call."""
    if len(texts) == 1:
        return [tokenize(texts[0], spec)]
    first, second = texts
    tokens = tokenize(tf.concat([first, second], axis=0), spec)
    return [tokens[: tf.size(first)], tokens[tf.size(first) :]]


def _kept(lengths: Sequence[tf.Tensor], room: int) -> Sequence[tf.Tensor]:
    """How many tokens of each text stay."""
    if len(lengths) == 1:
        return [tf.minimum(lengths[0], room)]
    return _longest_first(lengths[0], lengths[1], room)


def _longest_first(a: tf.Tensor, b: tf.Tensor, room: int) -> tuple[tf.Tensor, tf.Tensor]:
    """How many tokens of each text stay when both together may have `room`: (5, 9) of 10 -> (5, 5).

    The shorter stays whole while it fits in half the room; past that both get half, and the odd one
    out goes to the longer (to the second where they are equally long).
    """
    short, long = tf.minimum(a, b), tf.maximum(a, b)
    half = tf.constant(room // 2, a.dtype)
    fits = short + long <= room
    kept_short = tf.where(fits, short, tf.minimum(short, half))
    kept_long = tf.where(fits, long, room - kept_short)
    return tf.where(a > b, kept_long, kept_short), tf.where(a > b, kept_short, kept_long)


def _head(tokens: tf.RaggedTensor, kept: tf.Tensor) -> tf.RaggedTensor:
    """The first kept[i] tokens of row i."""
    starts = tokens.row_starts()
    splits = tf.concat([tf.zeros([1], tf.int64), tf.cumsum(kept)], axis=0)
    index = tf.range(splits[-1]) + tf.repeat(starts - splits[:-1], kept)
    return tf.RaggedTensor.from_row_splits(tf.gather(tokens.values, index), splits, validate=False)


def _constant(value: int, rows: tf.Tensor) -> tf.RaggedTensor:
    """One value for every row, int64 [rows, 1]."""
    return tf.RaggedTensor.from_tensor(tf.fill([rows, 1], tf.constant(value, tf.int64)))


def _token_types(template: Template, kept: dict[str, tf.Tensor]) -> tf.Tensor:
    """The token types of all rows, one after the other: int64 [tokens]."""
    kinds, lengths, none = [], [], tf.zeros_like(kept[FIRST])
    for kind, pieces in itertools.groupby(template, key=lambda piece: piece[1]):
        kinds.append(kind)
        lengths.append(sum((1 if isinstance(piece, int) else kept[piece] for piece, _ in pieces), none))
    repeats = tf.reshape(tf.stack(lengths, axis=1), [-1])
    return tf.repeat(tf.tile(tf.constant(kinds, tf.int64), [tf.size(none)]), repeats)
