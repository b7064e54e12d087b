"""Raw columns as TFX passes them to a graph: dense, sparse or ragged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

Column: TypeAlias = tf.Tensor | tf.SparseTensor | tf.RaggedTensor


def one_value(column: Column, default: str) -> tf.Tensor:
    """One string per row, `default` if it has none: sparse, ragged, [batch] or [batch, 1] -> [batch]."""
    if isinstance(column, tf.RaggedTensor):
        column = column.to_sparse()
    if isinstance(column, tf.SparseTensor):
        firsts = tf.boolean_mask(column.indices[:, 0], column.indices[:, 1] == 0)
        values = tf.boolean_mask(column.values, column.indices[:, 1] == 0)
        rows = tf.fill(column.dense_shape[:1], default)
        return tf.tensor_scatter_nd_update(rows, firsts[:, tf.newaxis], values)
    return tf.reshape(column, [-1])


def map_values(function: Callable[[tf.Tensor], tf.Tensor], column: Column) -> Column:
    """The column with `function` applied to its values; the shape does not change."""
    if isinstance(column, tf.SparseTensor):
        return column.with_values(function(column.values))
    if isinstance(column, tf.RaggedTensor):
        return column.with_flat_values(function(column.flat_values))
    return function(column)
