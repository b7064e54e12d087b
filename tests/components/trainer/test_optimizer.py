"""AdamW and the learning rate, compared with NumPy and literal values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.embedding_rows import EmbeddingRows, is_worthwhile
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


def test_moments_count_steps_of_small_scale_among_steps_of_large_scale() -> None:
    rng = np.random.default_rng(0)
    variable = tf.Variable(np.zeros(4, "f"), name="kernel")
    optimizer = AdamW([variable], train_settings(), is_kernel)
    first, second = np.zeros(4), np.zeros(4)
    for step in range(400):
        divisor = (
            1.0 if step % 100 == 0 else 5000.0
        )  # sums of row weights, as rare classes of a large weight give
        gradient = rng.normal(size=4).astype("f") * divisor
        optimizer.apply([tf.constant(gradient)], tf.constant(divisor), tf.constant(0.0))
        mean = gradient.astype("d") / divisor
        first, second = 0.9 * first + 0.1 * mean, 0.999 * second + 0.001 * mean**2
    np.testing.assert_allclose(optimizer.first_moments[0].numpy(), first, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(optimizer.second_moments[0].numpy(), second, rtol=1e-4)


def test_share_of_the_learning_rate_is_that_of_the_variable_alone() -> None:
    def updated(rate: float, shares: list[float] | None) -> list[np.ndarray]:
        variables = [tf.Variable([1.0, 2.0], name="kernel"), tf.Variable([3.0, 4.0], name="kernel")]
        optimizer = AdamW(variables, train_settings(weight_decay=0.1), is_kernel, rate_shares=shares)
        for gradient in ([0.5, -0.25], [0.125, 1.0]):
            optimizer.apply([tf.constant(gradient)] * 2, tf.constant(1.0), tf.constant(rate))
        return [variable.numpy() for variable in variables]

    half, plain, shared = updated(0.005, None), updated(0.01, None), updated(0.01, [0.5, 1.0])
    np.testing.assert_array_equal(shared[0], half[0])
    np.testing.assert_array_equal(shared[1], plain[1])
    np.testing.assert_array_equal(updated(0.01, [1.0, 1.0]), plain)


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
    optimizer = AdamW([variable], train_settings(fp16=True), is_kernel)
    before = optimizer.loss_scale.numpy()
    optimizer.apply([tf.constant([math.inf])], tf.constant(1.0), tf.constant(0.1))
    assert variable.numpy().tolist() == [1.0]
    assert optimizer.loss_scale.numpy() == before / 2
    optimizer.apply([tf.constant([before / 2])], tf.constant(1.0), tf.constant(0.1))
    assert variable.numpy()[0] == pytest.approx(0.9 - 0.001, abs=1e-5)


def lookups(steps: int) -> list[tuple[list[int], np.ndarray]]:
    """Ids out of 2, 3 and 7, some twice, and the gradients of their lookups."""
    rng = np.random.default_rng(1)
    return [(ids, rng.normal(size=(len(ids), 4)).astype("f")) for ids in ([3, 7, 3], [2], [7, 2])][:steps]


def trained(rows: bool, steps: int = 3, **settings: Any) -> tuple[tf.Variable, AdamW]:
    values = np.random.default_rng(0).normal(size=(9, 4)).astype("f")
    embedding, bias = tf.Variable(values, name="kernel"), tf.Variable([1.0, 2.0], name="bias")
    chosen = train_settings(weight_decay=0.1, adam_epsilon=1e-3, max_grad_norm=1.0, **settings)
    used = EmbeddingRows(embedding, [2, 3, 7]) if rows else None
    optimizer = AdamW([embedding, bias], chosen, is_kernel, used)
    for ids, values in lookups(steps):
        slices = tf.IndexedSlices(tf.constant(values), tf.constant(ids), tf.constant([9, 4]))
        gradients = optimizer.gradients([slices, tf.constant([0.5, -0.5])])
        optimizer.apply(gradients, tf.constant(2.0), tf.constant(0.01))
    return embedding, optimizer


def test_rows_that_occur_are_updated_as_the_whole_embedding_is() -> None:
    (whole, _), (embedding, optimizer) = trained(rows=False), trained(rows=True)
    used = [2, 3, 7]
    np.testing.assert_allclose(embedding.numpy()[used], whole.numpy()[used], rtol=1e-6)
    assert optimizer.first_moments[0].shape == (3, 4)
    assert optimizer.gradient_shapes == [(3, 4), (2,)]


def test_rows_that_never_occur_are_decayed_when_the_embedding_settles() -> None:
    (whole, _), (embedding, optimizer) = trained(rows=False), trained(rows=True)
    before = np.random.default_rng(0).normal(size=(9, 4)).astype("f")
    np.testing.assert_array_equal(embedding.numpy()[[0, 8]], before[[0, 8]])
    assert optimizer.state[-1].numpy() == pytest.approx((1 - 0.01 * 0.1) ** 3)
    for _ in range(2):  # the second time there is nothing left to do
        optimizer.settle()
        np.testing.assert_allclose(embedding.numpy(), whole.numpy(), rtol=1e-6)
        assert optimizer.state[-1].numpy() == 1.0


def test_embedding_and_pending_decay_restored_train_on_alike() -> None:
    whole, uninterrupted = trained(rows=True)
    part, optimizer = trained(rows=True, steps=2)
    resumed = tf.Variable(tf.zeros([9, 4]), name="kernel")
    bias = tf.Variable([0.0, 0.0], name="bias")
    again = AdamW(
        [resumed, bias],
        train_settings(weight_decay=0.1, adam_epsilon=1e-3, max_grad_norm=1.0),
        is_kernel,
        EmbeddingRows(resumed, [2, 3, 7]),
    )
    resumed.assign(part)
    for variable, value in zip(again.state, optimizer.state, strict=True):
        variable.assign(value)
    again.reload()
    ids, values = lookups(3)[-1]
    slices = tf.IndexedSlices(tf.constant(values), tf.constant(ids), tf.constant([9, 4]))
    again.apply(again.gradients([slices, tf.constant([0.5, -0.5])]), tf.constant(2.0), tf.constant(0.01))
    for one in (uninterrupted, again):
        one.settle()
    np.testing.assert_array_equal(resumed.numpy(), whole.numpy())


def test_a_dense_gradient_of_the_embedding_is_an_error() -> None:
    rows = EmbeddingRows(tf.Variable(tf.zeros([9, 4]), name="kernel"), [2])
    with pytest.raises(TypeError, match="the gradient of kernel:0 is not sparse"):
        rows.gradient(tf.zeros([9, 4]))


@pytest.mark.parametrize(("used", "expected"), [(74, True), (75, True), (76, False), (100, False)])
def test_rows_are_trained_apart_only_if_many_do_not_occur(used: int, expected: bool) -> None:
    assert is_worthwhile(tf.Variable(tf.zeros([100, 1])), range(used)) is expected
