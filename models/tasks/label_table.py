"""Lookup tables between labels and their line numbers in the label list."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

UNKNOWN_LABEL = -1  # the data gate rejects such rows earlier; -1 would make an error visible


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
