"""The labels of a row as line numbers of the label list: `["spam", "ad"] -> [1, 0]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.columns import Column
from models.errors import PipelineError
from models.tasks.label_table import UNKNOWN_LABEL, label_ids, names_table
from models.tasks.multi_label.decisions import tuples

__all__ = ["names_table"]
LABEL_IDS = "label_ids"  # int64, variable length: line numbers in the label list, without repetition
NO_LABEL = -1  # fills up a row of a batch


def label_features(column: Column, label_list: Path) -> dict[str, tf.SparseTensor]:
    """Maps the labels of each row to their line numbers in the label list, which becomes an asset of the graph.

    Args:
        column: string, sparse or ragged with any number of values per row, or dense [batch] or [batch, values].
        label_list: one label per line.

    Returns:
        LABEL_IDS: int64 sparse [batch, None]; UNKNOWN_LABEL for a label that is not in the list.
    """
    return {LABEL_IDS: label_ids(column, label_list)}


def parsing_spec() -> dict[str, Any]:
    """LABEL_IDS: int64 ragged."""
    return {LABEL_IDS: tf.io.RaggedFeature(tf.int64)}


def batch_spec() -> dict[str, tf.TensorSpec]:
    """LABEL_IDS: int32 [rows, most labels of a row]."""
    return {LABEL_IDS: tf.TensorSpec([None, None], tf.int32)}


def batch(rows: Mapping[str, Any], order: tf.Tensor) -> dict[str, tf.Tensor]:
    """LABEL_IDS ragged -> int32 [rows, most labels of a row], filled up with NO_LABEL; `order` selects rows."""
    ids = tf.gather(rows[LABEL_IDS], order).to_tensor(NO_LABEL)
    return {LABEL_IDS: tf.cast(ids, tf.int32)}


def targets(batch: Mapping[str, tf.Tensor]) -> np.ndarray:
    """`[[2, 0], [-1, -1]] -> [(0, 2), ()]`, the label ids of each row, object [rows]."""
    return tuples(np.asarray(batch[LABEL_IDS]))


def row_weights(batch: Mapping[str, tf.Tensor], class_weights: Sequence[float] | None) -> tf.Tensor:
    """float32 [rows] of ones: class weights weigh the labels of a row in the loss, not the row."""
    del class_weights
    return tf.ones(tf.shape(batch[LABEL_IDS])[:1], tf.float32)


def arrays(rows: Mapping[str, Any]) -> list[np.ndarray]:
    """int64 ids of all rows, and where each row begins."""
    return [rows[LABEL_IDS].flat_values.numpy(), rows[LABEL_IDS].row_splits.numpy()]


def counts(rows: Mapping[str, Any], shard: str, classes: int) -> np.ndarray:
    """Rows of each label id, int64 [classes]; a label that a row has twice counts once.

    Raises:
        PipelineError: a label id is outside [0, classes).
    """
    ids = rows[LABEL_IDS].flat_values.numpy()
    bad = ids[(ids < 0) | (ids >= classes)]
    if bad.size:
        what = "a label" if bad[0] == UNKNOWN_LABEL else f"label id {bad[0]}"
        raise PipelineError(
            f"{shard}: {what} ({bad.size} times) is outside the label list of {classes}; see data.label_list"
        )
    of_rows = np.unique(rows[LABEL_IDS].value_rowids().numpy() * classes + ids)
    return np.bincount(of_rows % classes, minlength=classes)
