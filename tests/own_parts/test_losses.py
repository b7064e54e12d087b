"""The template of `train.loss`."""

from __future__ import annotations

import math

import pytest
import tensorflow as tf

from components.own_parts.loss_trial import try_loss
from own_parts.losses import focal


def test_rows_that_the_model_is_sure_of_count_little():
    # Right with probability 0.5, 0.9 and 0.1: cross-entropy times 0.25, 0.01 and 0.81.
    logits = tf.constant([[0.0, 0.0], [math.log(9.0), 0.0], [0.0, math.log(9.0)]])
    losses = focal(logits, tf.constant([1, 0, 0]))
    assert losses.numpy().tolist() == pytest.approx([0.173287, 0.00105361, 1.865094], rel=1e-5)


def test_it_keeps_the_contract():
    try_loss(focal, {"task": "single_label", "labels": list("abcdef")})
