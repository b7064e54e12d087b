"""Counts rows by the bin of their logits, in the graph."""

from __future__ import annotations

import tensorflow as tf

from models.tasks.logit_bins import BINS, BINS_PER_UNIT, LOWEST


def rows_by_logit(logits: tf.Tensor, target: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """float32 [2 * classes * BINS]: rows without and with each label, by the bin of its logit.

    Args:
        logits: float32 [rows, classes], infinite ones too.
        target: float32 [rows, classes], 1 for the labels of a row.
        weights: float32 [rows], added up.
    """
    classes = logits.shape[-1]  # XLA needs the number of segments when it compiles
    position = tf.clip_by_value((logits - LOWEST) * BINS_PER_UNIT, 0.0, BINS - 1.0)
    segment = (tf.cast(target, tf.int32) * classes + tf.range(classes)) * BINS + tf.cast(position, tf.int32)
    rows = tf.broadcast_to(weights[:, None], tf.shape(logits))
    return tf.math.unsorted_segment_sum(tf.reshape(rows, [-1]), tf.reshape(segment, [-1]), 2 * classes * BINS)
