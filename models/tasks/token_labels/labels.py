"""The tags of a text's words as line numbers of the label list, beside the words of its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.columns import Column
from models.errors import PipelineError
from models.features import NO_WORD, WORD_INDEX
from models.tasks.label_table import UNKNOWN_LABEL, label_ids, names_table
from models.tasks.token_labels.decoding import first_pieces, tags_of_tokens
from models.tasks.token_labels.spans import NO_TAG

__all__ = ["names_table"]
TAG_IDS = "tag_ids"  # int64, variable length: line numbers in the label list, one for each word of the text


def label_features(column: Column, label_list: Path) -> dict[str, tf.SparseTensor]:
    """TAG_IDS: int64 sparse [batch, None]; UNKNOWN_LABEL for a tag that is not in the list.

    Args:
        column: string, sparse or ragged with a tag for each word, or dense [batch, words].
        label_list: one tag per line.
    """
    return {TAG_IDS: label_ids(column, label_list)}


def parsing_spec() -> dict[str, Any]:
    """TAG_IDS and WORD_INDEX: int64 ragged."""
    return {name: tf.io.RaggedFeature(tf.int64) for name in (TAG_IDS, WORD_INDEX)}


def batch_spec() -> dict[str, tf.TensorSpec]:
    """TAG_IDS int32 [rows, words], WORD_INDEX int32 [rows, tokens]."""
    return dict.fromkeys((TAG_IDS, WORD_INDEX), tf.TensorSpec([None, None], tf.int32))


def batch(rows: Mapping[str, Any], order: tf.Tensor) -> dict[str, tf.Tensor]:
    """Ragged -> dense, filled up with NO_TAG and NO_WORD; `order` selects rows."""
    return {
        name: tf.cast(tf.gather(rows[name], order).to_tensor(filler), tf.int32)
        for name, filler in ((TAG_IDS, NO_TAG), (WORD_INDEX, NO_WORD))
    }


def targets(batch: Mapping[str, tf.Tensor]) -> np.ndarray:
    """The tag ids of each row, object [rows]: `[[2, 0], [1, -1]]` -> `[(2, 0), (1,)]`."""
    ids = np.asarray(batch[TAG_IDS])
    made = np.empty(len(ids), object)
    made[:] = [tuple(int(tag) for tag in row if tag != NO_TAG) for row in ids]
    return made


def row_weights(batch: Mapping[str, tf.Tensor], class_weights: Sequence[float] | None) -> tf.Tensor:
    """float32 [rows]: the words that have a token and a tag, so that each word counts alike in the loss."""
    del class_weights
    words = batch[WORD_INDEX]
    counts = first_pieces(words) & (tags_of_tokens(batch[TAG_IDS], words) != NO_TAG)
    return tf.reduce_sum(tf.cast(counts, tf.float32), axis=1)


def arrays(rows: Mapping[str, Any]) -> list[np.ndarray]:
    """int64: the tags of all rows, where each row begins, and the words of all tokens."""
    return [
        rows[TAG_IDS].flat_values.numpy(),
        rows[TAG_IDS].row_splits.numpy(),
        rows[WORD_INDEX].flat_values.numpy(),
    ]


def counts(rows: Mapping[str, Any], shard: str, classes: int) -> np.ndarray:
    """Words of each tag id, and last the words without a token, int64 [classes + 1].

    Raises:
        PipelineError: a tag id is outside [0, classes), or a row has fewer tags than words.
    """
    ids, words = rows[TAG_IDS].flat_values.numpy(), rows[WORD_INDEX]
    bad = ids[(ids < 0) | (ids >= classes)]
    if bad.size:
        what = "a tag" if bad[0] == UNKNOWN_LABEL else f"tag id {bad[0]}"
        raise PipelineError(
            f"{shard}: {what} ({bad.size} times) is outside the label list of {classes}; see data.label_list"
        )
    tags_of_rows = rows[TAG_IDS].row_lengths().numpy()
    last_words = tf.reduce_max(words, axis=1).numpy()
    if (tags_of_rows <= last_words).any():
        raise PipelineError(
            f"{shard}: {(tags_of_rows <= last_words).sum()} rows have fewer tags than words; see transform.words"
        )
    with_tokens = int(tf.reduce_sum(tf.cast(first_pieces(words.to_tensor(NO_WORD)), tf.int64)))
    return np.append(np.bincount(ids, minlength=classes), len(ids) - with_tokens)


def words_without_tokens(counts: Sequence[float]) -> int:
    """Of the sums of `counts`: words behind the end of a text that was cut, and the few that a tokenizer has nothing for."""
    return int(counts[-1])
