"""The label of a row as a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.errors import PipelineError
from models.tasks.single_label.labels import names_table  # noqa: F401

TARGET = "target"


def label_features(column: Any, label_list: Path) -> dict[str, tf.Tensor]:
    """TARGET float32 [batch]."""
    del label_list
    dense = tf.sparse.to_dense(column) if isinstance(column, tf.SparseTensor) else column
    return {TARGET: tf.reshape(dense, [-1])}


def parsing_spec() -> dict[str, Any]:
    return {TARGET: tf.io.FixedLenFeature([], tf.float32)}


def batch_spec() -> dict[str, tf.TensorSpec]:
    return {TARGET: tf.TensorSpec([None], tf.float32)}


def batch(rows: Mapping[str, Any], order: tf.Tensor) -> dict[str, tf.Tensor]:
    return {TARGET: tf.gather(rows[TARGET], order)}


def targets(batch: Mapping[str, tf.Tensor]) -> np.ndarray:
    return np.asarray(batch[TARGET])


def row_weights(batch: Mapping[str, tf.Tensor], class_weights: Sequence[float] | None) -> tf.Tensor:
    del class_weights
    return tf.ones_like(batch[TARGET])


def arrays(rows: Mapping[str, Any]) -> list[np.ndarray]:
    return [rows[TARGET].numpy()]


def counts(rows: Mapping[str, Any], shard: str, classes: int) -> np.ndarray:
    """Every row is one of the only score."""
    values = rows[TARGET].numpy()
    if not np.isfinite(values).all():
        raise PipelineError(f"{shard}: a label is not a number")
    return np.full(classes, len(values))
