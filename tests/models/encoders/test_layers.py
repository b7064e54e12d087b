"""Building blocks of forward passes: literal values."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.encoders.layers import Dropout, positions_past_padding


def test_dropout_keeps_the_mean_and_repeats_by_seed() -> None:
    values = tf.ones([200, 200])
    first, again = (Dropout(tf.constant([5, 0], tf.int64))(values, 0.1).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert sorted(set(first.ravel().round(4))) == [0.0, 1.1111]
    assert abs(first.mean() - 1.0) < 0.01
    dropout = Dropout(tf.constant([5, 0], tf.int64))
    assert np.abs(dropout(values, 0.1) - dropout(values, 0.1)).max() > 0  # each call its own mask
    assert Dropout(None)(values, 0.1) is values


def test_positions_past_padding_count_from_two_and_leave_padding_out() -> None:
    ids, mask = tf.constant([[0, 9, 1, 8, 2, 0]]), tf.constant([[1, 1, 1, 1, 1, 0]])
    assert positions_past_padding(ids, mask, 1).numpy().tolist() == [[2, 3, 1, 4, 5, 1]]
