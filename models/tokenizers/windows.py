"""Long texts as overlapping windows, each a row of the model with its own special tokens.

    graph, spec = family_of(folder).load_graph(), load_spec(folder)
    encode_windows([tf.constant(["a b c d e"])], graph.tokenize, spec, max_length=5, stride=1)
    # {"input_ids": [[101, 1, 2, 3, 102, 101, 3, 4, 5, 102]], "window_lengths": [[5, 5]]}

The windows are those of a Hugging Face fast tokenizer with `return_overflowing_tokens=True`: the last one ends with the
text and may be shorter, and a text that fits has a single window, its plain tokenization. A text of n tokens has at most
1 + n / (room - stride) windows, so the cost is linear in its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from models.errors import PipelineError
from models.features import INPUT_IDS, TOKEN_TYPE_IDS, WINDOW_LENGTHS
from models.tokenizers.family import Spec, special_tokens
from models.tokenizers.packing import encode, pack


def encode_rows(
    texts: Sequence[tf.Tensor],
    tokenize: Callable[[tf.Tensor, Any], tf.RaggedTensor],
    spec: Spec,
    max_length: int,
    stride: int | None,
) -> dict[str, tf.RaggedTensor]:
    """`encode_windows`, or without a stride `packing.encode`, which truncates."""
    if stride is None:
        return encode(texts, tokenize, spec, max_length)
    return encode_windows(texts, tokenize, spec, max_length, stride)


def encode_windows(
    texts: Sequence[tf.Tensor],
    tokenize: Callable[[tf.Tensor, Any], tf.RaggedTensor],
    spec: Spec,
    max_length: int,
    stride: int,
) -> dict[str, tf.RaggedTensor]:
    """The inputs of all windows of a text, one window after the other.

    Args:
        texts: one string [batch].
        tokenize: of the family's graph.
        spec: the tokenization.
        max_length: maximum tokens of a window, special tokens included.
        stride: tokens of the text that a window shares with the one before.

    Returns:
        INPUT_IDS, and TOKEN_TYPE_IDS as `packing.encode` gives them, int64 [batch, tokens of all windows];
        WINDOW_LENGTHS int64 [batch, windows], at least one window a row.

    Raises:
        PipelineError: `max_length` has no room for more than the special tokens and `stride` tokens.
    """
    room = max_length - special_tokens(spec.single)
    if room <= stride:
        raise PipelineError(
            f"windows of {max_length} tokens, {max_length - room} of them special, cannot overlap by {stride}; lower "
            "transform.window.stride or raise transform.max_length"
        )
    cut, counts = windows_of(tokenize(texts[0], spec), room, stride)
    packed = pack([cut], spec, max_length)
    lengths = tf.RaggedTensor.from_row_lengths(packed[INPUT_IDS].row_lengths(), counts, validate=False)
    joined = {name: _rows_of(packed[name], counts) for name in (INPUT_IDS, TOKEN_TYPE_IDS) if name in packed}
    return joined | {WINDOW_LENGTHS: lengths}


def windows_of(tokens: tf.RaggedTensor, size: int, stride: int) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """`[[1, 2, 3, 4, 5], []]`, size 3, stride 1 -> `[[1, 2, 3], [3, 4, 5], []]` and `[2, 1]`.

    Args:
        tokens: int64 [rows, None].
        size: maximum tokens of a window.
        stride: tokens that neighbouring windows share, less than `size`.

    Returns:
        int64 [windows, <= size], and the number of windows of each row, int64 [rows].
    """
    step, lengths = size - stride, tokens.row_lengths()
    counts = 1 + tf.maximum(lengths - size + step - 1, 0) // step
    row = tf.repeat(tf.range(tf.size(counts)), counts)
    offsets = tf.ragged.range(counts).flat_values * step
    kept = tf.minimum(tf.gather(lengths, row) - offsets, size)
    places = tf.gather(tokens.row_starts(), row) + offsets
    index = tf.repeat(places, kept) + tf.ragged.range(kept).flat_values
    values = tf.gather(tokens.flat_values, index)
    return tf.RaggedTensor.from_row_lengths(values, kept, validate=False), counts


def _rows_of(windows: tf.RaggedTensor, counts: tf.Tensor) -> tf.RaggedTensor:
    """Joins each row's windows: `[[1, 2], [2, 3], [4]]`, counts `[2, 1]` -> `[[1, 2, 2, 3], [4]]`."""
    lengths = tf.RaggedTensor.from_row_lengths(windows.row_lengths(), counts, validate=False)
    return tf.RaggedTensor.from_row_lengths(
        windows.flat_values, tf.reduce_sum(lengths, axis=1), validate=False
    )
