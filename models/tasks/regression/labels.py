"""The label of a row as a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.columns import Column
from models.errors import PipelineError
from models.tasks.label_table import names_table

__all__ = ["names_table"]
TARGET = "target"  # float32 scalar, in the units of the data


def label_features(column: Column, label_list: Path) -> dict[str, tf.Tensor]:
    """TARGET float32 [batch]; NaN for a row without a label.

    Args:
        column: float32 or int64, dense [batch] or [batch, 1], or sparse or ragged with at most one value per row.
        label_list: not used.
    """
    del label_list
    if isinstance(column, tf.RaggedTensor):
        column = column.to_sparse()
    if isinstance(column, tf.SparseTensor):
        numbers = column.with_values(tf.cast(column.values, tf.float32))
        rows = tf.fill(column.dense_shape[:1], np.float32(np.nan))
        first = numbers.indices[:, 1] == 0
        places = tf.boolean_mask(numbers.indices[:, :1], first)
        return {TARGET: tf.tensor_scatter_nd_update(rows, places, tf.boolean_mask(numbers.values, first))}
    return {TARGET: tf.cast(tf.reshape(column, [-1]), tf.float32)}


def parsing_spec() -> dict[str, Any]:
    """TARGET: float32 scalar."""
    return {TARGET: tf.io.FixedLenFeature([], tf.float32)}


def batch_spec() -> dict[str, tf.TensorSpec]:
    """TARGET: float32 [rows]."""
    return {TARGET: tf.TensorSpec([None], tf.float32)}


def batch(rows: Mapping[str, Any], order: tf.Tensor) -> dict[str, tf.Tensor]:
    """TARGET float32 [all rows] -> [rows], for the rows that `order` selects."""
    return {TARGET: tf.gather(rows[TARGET], order)}


def targets(batch: Mapping[str, tf.Tensor]) -> np.ndarray:
    """float32 [rows]."""
    return np.asarray(batch[TARGET])


def row_weights(batch: Mapping[str, tf.Tensor], class_weights: Sequence[float] | None) -> tf.Tensor:
    """float32 [rows] of ones: there are no classes."""
    del class_weights
    return tf.ones_like(batch[TARGET])


def arrays(rows: Mapping[str, Any]) -> list[np.ndarray]:
    """float32 [rows]."""
    return [rows[TARGET].numpy()]


def counts(rows: Mapping[str, Any], shard: str, classes: int) -> np.ndarray:
    """float64 [rows, sum of the targets, sum of their squares], which gives their mean and deviation.

    Raises:
        PipelineError: a target is not a finite number.
    """
    del classes
    values = rows[TARGET].numpy().astype(np.float64)
    bad = values[~np.isfinite(values)]
    if bad.size:
        raise PipelineError(
            f"{shard}: {bad.size} targets are not finite numbers, such as {bad[0]}; correct the data"
        )
    return np.array([len(values), values.sum(), (values**2).sum()])
