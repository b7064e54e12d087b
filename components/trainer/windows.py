"""Texts of several windows: each window is a row of the model, and a text's logits come from those of its windows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import tensorflow as tf

from models.features import ATTENTION_MASK, INPUT_IDS, WINDOW_LENGTHS

TEXT = "text_of_window"  # int32 [windows]: the row of the text that a window belongs to, ascending

_CHUNK = 32  # windows in one forward pass, so that the memory for a batch does not grow with its longest text

Classify = Callable[[Mapping[str, tf.Tensor]], tf.Tensor]


def rows_of_windows(
    sequences: Mapping[str, tf.RaggedTensor], lengths: tf.RaggedTensor
) -> dict[str, tf.RaggedTensor]:
    """Each window as a row: `{"input_ids": [[1, 2, 2, 3], [4]]}`, lengths `[[2, 2], [1]]` -> `[[1, 2], [2, 3], [4]]`.

    Args:
        sequences: int64 [texts, tokens of all windows], as Transform writes them.
        lengths: WINDOW_LENGTHS, int64 [texts, windows].
    """
    return {
        name: tf.RaggedTensor.from_row_lengths(values.flat_values, lengths.flat_values, validate=False)
        for name, values in sequences.items()
    }


def parsed_windows(
    rows: Mapping[str, tf.Tensor | tf.RaggedTensor], names: Collection[str]
) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    """Parsed examples of texts -> of windows, each with the label of its text; `names` are those of the sequences.

    `{"input_ids": [[1, 2, 2, 3], [4]], "window_lengths": [[2, 2], [1]], "label_id": [7, 8]}`
    -> `{"input_ids": [[1, 2], [2, 3], [4]], "label_id": [7, 7, 8]}`
    """
    lengths = rows[WINDOW_LENGTHS]
    windows = rows_of_windows({name: rows[name] for name in names}, lengths)
    others = {name for name in rows if name not in names and name != WINDOW_LENGTHS}
    return windows | {name: tf.gather(rows[name], lengths.value_rowids()) for name in others}


def text_logits(
    classify: Classify, inputs: Mapping[str, tf.Tensor], text: tf.Tensor, texts: tf.Tensor, aggregate: str
) -> tf.Tensor:
    """The logits of texts from those of their windows.

    Args:
        classify: model inputs, int32 [windows, tokens] -> logits, float32 [windows, labels].
        inputs: the model's inputs with ATTENTION_MASK, int32 [windows, tokens].
        text: int32 [windows], ascending; every text has at least one window.
        texts: their number, int32 scalar.
        aggregate: "mean" or "max" over a text's windows, or "first", the logits of its first window.

    Returns:
        float32 [texts, labels].
    """
    if aggregate == "first":
        is_first = tf.concat([[True], text[1:] != text[:-1]], axis=0)[: tf.size(text)]
        return _in_chunks(classify, {name: tf.boolean_mask(v, is_first) for name, v in inputs.items()})
    logits = _in_chunks(classify, inputs)
    join = {"mean": tf.math.unsorted_segment_mean, "max": tf.math.unsorted_segment_max}[aggregate]
    return join(logits, text, texts)


def _in_chunks(classify: Classify, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """`classify` of a few windows at a time, each time without the padding that none of them needs."""
    windows, shapes = tf.shape(inputs[INPUT_IDS])[0], list[tf.TensorShape]()

    def some(start: tf.Tensor) -> tf.Tensor:
        chunk = {name: values[start : start + _CHUNK] for name, values in inputs.items()}
        # At least one token, so that an empty batch works too.
        width = tf.maximum(tf.reduce_max(tf.reduce_sum(chunk[ATTENTION_MASK], axis=1)), 1)
        logits = classify({name: values[:, :width] for name, values in chunk.items()})
        shapes.append(logits.shape)
        return logits

    # At least one chunk, because nothing can be concatenated otherwise.
    count = tf.maximum(-(-windows // _CHUNK), 1)
    chunks = tf.TensorArray(tf.float32, count, infer_shape=False)
    _, chunks = tf.while_loop(
        lambda number, _: number < count,
        lambda number, made: (number + 1, made.write(number, some(number * _CHUNK))),
        [tf.constant(0), chunks],
        parallel_iterations=1,
    )
    logits = chunks.concat()
    logits.set_shape([None, *shapes[-1][1:]])  # an array forgets the number of labels, which the scores need
    return logits
