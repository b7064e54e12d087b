"""Lookup tables between labels and their line numbers in the label list."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft

from models.columns import Column

LABELS_ASSET = "labels"
UNKNOWN_LABEL = -1  # the data gate rejects such rows earlier; -1 would make an error visible


def label_ids(column: Column, label_list: Path) -> tf.SparseTensor:
    """Maps the labels of each row to their line numbers in the label list, which becomes an asset of the graph.

    Args:
        column: string, sparse or ragged with any number of values per row, or dense [batch] or [batch, values].
        label_list: one label per line.

    Returns:
        int64 sparse [batch, None]; UNKNOWN_LABEL for a label that is not in the list.
    """
    tft.annotate_asset(LABELS_ASSET, str(label_list))
    table = tft.make_and_track_object(lambda: ids_table(label_list), name=LABELS_ASSET)
    labels = _sparse(column)
    return labels.with_values(table.lookup(labels.values))


def _sparse(column: Column) -> tf.SparseTensor:
    if isinstance(column, tf.RaggedTensor):
        return column.to_sparse()
    if isinstance(column, tf.SparseTensor):
        return column
    rows = tf.shape(column)[0]
    return tf.RaggedTensor.from_tensor(tf.reshape(column, [rows, -1])).to_sparse()


def ids_table(label_list: Path) -> tf.lookup.StaticHashTable:
    """Label (string) -> label id (int64), UNKNOWN_LABEL if it is not in the list; the list becomes an asset of the graph."""
    lines = tf.lookup.TextFileInitializer(
        str(label_list),
        key_dtype=tf.string,
        key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
        value_dtype=tf.int64,
        value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    return tf.lookup.StaticHashTable(lines, default_value=UNKNOWN_LABEL)


def names_table(label_list: Path) -> tf.lookup.StaticHashTable:
    """Label id (int64) -> label (string), "" for an invalid id; the list becomes an asset of the graph."""
    lines = tf.lookup.TextFileInitializer(
        str(label_list),
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
    )
    return tf.lookup.StaticHashTable(lines, default_value="")
