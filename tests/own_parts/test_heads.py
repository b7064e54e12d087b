"""The template of `model.head`."""

from __future__ import annotations

import pytest
import tensorflow as tf

from components.own_parts.head_trial import try_head
from own_parts.heads import MeanPooling


def test_logits_are_two_layers_over_the_mean_of_the_tokens():
    head = MeanPooling(width=2, outputs=1, seed=0)
    inner_bias, outer_bias, inner, outer = sorted(
        head.variables, key=lambda v: (v.shape.rank, -v.shape.num_elements())
    )
    inner.assign(tf.eye(2))
    inner_bias.assign([0.0, 1.0])
    outer.assign([[1.0], [10.0]])
    outer_bias.assign([0.5])
    hidden = tf.constant([[[1.0, 2.0], [3.0, 0.0], [9.0, 9.0]]])
    logits = head(hidden, tf.constant([[1, 1, 0]]), lambda values, rate: values)
    # The mean is [2, 1]; gelu(2) is 1.9545.
    assert logits.numpy().tolist() == [[pytest.approx(1.954500 * 11.0 + 0.5, rel=1e-4)]]


def test_it_keeps_the_contract():
    try_head(MeanPooling, {"labels": ["a", "b", "c"]})
