"""AdamW and the learning rate, compared with NumPy and literal values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.optimizer import AdamW, learning_rate
from components.trainer.settings import TrainSettings


def is_kernel(variable: tf.Variable) -> bool:
    return "kernel" in variable.name


def train_settings(**values: Any) -> TrainSettings:
    return TrainSettings(
        **{"max_grad_norm": None, "warmup_ratio": 0.0, "lr_scheduler_type": "constant_with_warmup", **values}
    )


def test_adamw_follows_the_published_update() -> None:
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(4, 3)).astype("f"), rng.normal(size=3).astype("f")
    variables = [tf.Variable(kernel, name="dense/kernel"), tf.Variable(bias, name="dense/bias")]
    settings = train_settings(weight_decay=0.1, adam_epsilon=1e-3)
    optimizer = AdamW(variables, settings, is_kernel)
    expected = [kernel.astype("d"), bias.astype("d")]
    moments = [[np.zeros_like(e), np.zeros_like(e)] for e in expected]
    for step in range(1, 5):
        gradients = [rng.normal(size=e.shape).astype("f") for e in expected]
        optimizer.apply([tf.constant(2.0 * g) for g in gradients], tf.constant(2.0), tf.constant(0.01))
        for i, g in enumerate(gradients):
            m, v = moments[i]
            m[:] = 0.9 * m + 0.1 * g
            v[:] = 0.999 * v + 0.001 * g.astype("d") ** 2
            decay = 0.1 if i == 0 else 0.0
            update = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-3)
            expected[i] = expected[i] * (1 - 0.01 * decay) - 0.01 * update
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=2e-5, atol=2e-6)
    assert optimizer.step.numpy() == 4


def test_gradients_are_clipped_to_the_global_norm() -> None:
    variable = tf.Variable([0.0, 0.0], name="kernel")
    optimizer = AdamW([variable], train_settings(max_grad_norm=1.0), is_kernel)
    norm = optimizer.apply([tf.constant([6.0, 8.0])], tf.constant(2.0), tf.constant(0.0))
    assert norm.numpy() == pytest.approx(5.0)  # of the mean gradient [3, 4]
    np.testing.assert_allclose(optimizer.first_moments[0].numpy(), [0.06, 0.08], rtol=1e-5)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]),
        ("constant_with_warmup", [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
        ("cosine", [0.0, 0.5, 1.0, 0.8536, 0.5, 0.1464]),
    ],
)
def test_learning_rate_literal(schedule: str, expected: list[float]) -> None:
    settings = TrainSettings(learning_rate=1.0, warmup_ratio=1 / 3, lr_scheduler_type=schedule)
    assert [learning_rate(settings, step, 6) for step in range(6)] == pytest.approx(expected, abs=1e-4)


def test_overflow_skips_the_step_and_halves_the_loss_scale() -> None:
    variable = tf.Variable([1.0], name="kernel")
    optimizer = AdamW([variable], train_settings(mixed_precision="float16"), is_kernel)
    before = optimizer.loss_scale.numpy()
    optimizer.apply([tf.constant([math.inf])], tf.constant(1.0), tf.constant(0.1))
    assert variable.numpy().tolist() == [1.0]
    assert optimizer.loss_scale.numpy() == before / 2
    optimizer.apply([tf.constant([before / 2])], tf.constant(1.0), tf.constant(0.1))
    assert variable.numpy()[0] == pytest.approx(0.9 - 0.001, abs=1e-5)
