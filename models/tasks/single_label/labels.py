"""Labels as line numbers of the label list: `["spam"] -> [1]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models.columns import Column, map_values, one_value
from models.errors import PipelineError
from models.features import LABEL_ID
from models.tasks.label_table import LABELS_ASSET, UNKNOWN_LABEL, ids_table, names_table

__all__ = ["UNKNOWN_LABEL", "names_table"]


def label_features(column: Column, label_list: Path) -> dict[str, tf.Tensor]:
    """Maps labels to their line numbers in the label list: `["spam"]` -> `[1]`; integer labels as decimals.

    A lookup table reads the list, whose file is an asset of the saved graph and so is shipped with the model.

    Args:
        column: dense [batch] or [batch, 1], or sparse or ragged with at most one value per row.
        label_list: one label per line.

    Returns:
        LABEL_ID: int64 [batch], UNKNOWN_LABEL if the label is not in the list or the row has none.
    """
    labels = column if column.dtype == tf.string else map_values(tf.strings.as_string, column)
    tft.annotate_asset(LABELS_ASSET, str(label_list))
    table = tft.make_and_track_object(lambda: ids_table(label_list), name=LABELS_ASSET)
    return {LABEL_ID: table.lookup(one_value(labels, ""))}


def parsing_spec() -> dict[str, Any]:
    """LABEL_ID: int64 scalar."""
    return {LABEL_ID: tf.io.FixedLenFeature([], tf.int64)}


def batch_spec() -> dict[str, tf.TensorSpec]:
    """LABEL_ID: int32 [rows]."""
    return {LABEL_ID: tf.TensorSpec([None], tf.int32)}


def batch(rows: Mapping[str, Any], order: tf.Tensor) -> dict[str, tf.Tensor]:
    """LABEL_ID int64 [all rows] -> int32 [rows], for the rows that `order` selects."""
    return {LABEL_ID: tf.cast(tf.gather(rows[LABEL_ID], order), tf.int32)}


def targets(batch: Mapping[str, tf.Tensor]) -> np.ndarray:
    """Label ids, int32 [rows]."""
    return np.asarray(batch[LABEL_ID])


def row_weights(batch: Mapping[str, tf.Tensor], class_weights: Sequence[float] | None) -> tf.Tensor:
    """float32 [rows]: the weight of each row's label; 1 without weights."""
    if class_weights is None:
        return tf.ones_like(batch[LABEL_ID], tf.float32)
    return tf.gather(tf.constant(class_weights), batch[LABEL_ID])


def arrays(rows: Mapping[str, Any]) -> list[np.ndarray]:
    """int64 [rows]."""
    return [rows[LABEL_ID].numpy()]


def counts(rows: Mapping[str, Any], shard: str, classes: int) -> np.ndarray:
    """Rows of each label id, int64 [classes].

    Args:
        rows: parsed examples.
        shard: the file of the examples, for the error message.
        classes: number of labels.

    Raises:
        PipelineError: a label id is outside [0, classes).
    """
    ids = rows[LABEL_ID].numpy()
    bad = ids[(ids < 0) | (ids >= classes)]
    if bad.size:
        raise PipelineError(
            f"{shard}: label id {bad[0]} in {bad.size} rows is outside the label list of {classes}; "
            "see data.label_list"
        )
    return np.bincount(ids, minlength=classes)
