"""The compiled step: accumulation, row weights, frozen parts, precision and compilation modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.dataset import ROW_WEIGHT
from components.trainer.model import trained_variables
from components.trainer.optimizer import AdamW
from components.trainer.settings import FreezeSettings, TrainSettings
from components.trainer.step import TrainStep
from models.checkpoints.classifier import load_classifier
from models.encoders.families import forward_of
from models.tasks.single_label.head import row_losses
from tests.components.trainer.conftest import INPUTS, LABELS, TASK
from tests.support.tiny_encoders import token_batch

STRATEGY = tf.distribute.get_strategy()


def load(folder: Path) -> Any:
    return load_classifier(folder, LABELS)


def without_dropout(model: Any) -> Any:
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.0
    model.config.classifier_dropout = 0.0
    return model


def some_batch(rows: int = 6) -> dict[str, tf.Tensor]:
    labels = np.random.default_rng(0).integers(0, 3, rows)
    return token_batch(INPUTS, rows) | {
        "label_id": tf.constant(labels, tf.int32),
        ROW_WEIGHT: tf.ones([rows]),
    }


def rows_of(batch: dict[str, tf.Tensor], start: int, stop: int) -> dict[str, tf.Tensor]:
    return {name: value[start:stop] for name, value in batch.items()}


def train_settings(**values: Any) -> TrainSettings:
    return TrainSettings(
        **{"max_grad_norm": None, "warmup_ratio": 0.0, "lr_scheduler_type": "constant_with_warmup", **values}
    )


def make_step(model: Any, settings: TrainSettings) -> TrainStep:
    variables = trained_variables(model, settings.freeze)
    optimizer = AdamW(variables, settings, forward_of(model).is_decayed)
    return TrainStep(model, variables, optimizer, settings, STRATEGY, INPUTS, TASK)


def weights(model: Any) -> list[np.ndarray]:
    return [v.numpy() for v in model.trainable_variables]


RATE = tf.constant(0.01)


def test_accumulated_passes_equal_the_big_batch(checkpoint: Path) -> None:
    batch = some_batch(rows=7)
    batch[ROW_WEIGHT] = tf.constant([1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 0.0])
    big, small = (without_dropout(load(checkpoint)) for _ in range(2))
    # A large epsilon: Adam's division would blow rounding up where a gradient is nearly nothing.
    settings = {"max_grad_norm": 1.0, "adam_epsilon": 0.1}
    big_step = make_step(big, train_settings(**settings))
    step = make_step(small, train_settings(gradient_accumulation_steps=3, **settings))
    for _ in range(2):  # the second round shows that the sums were emptied
        loss = big_step.update(batch, 0, RATE)
        step.accumulate(rows_of(batch, 0, 3), 0)
        step.accumulate(rows_of(batch, 3, 5), 1)
        assert step.update(rows_of(batch, 5, 7), 2, RATE).numpy() == pytest.approx(loss.numpy(), abs=1e-5)
        for mine, other in zip(weights(small), weights(big), strict=True):
            np.testing.assert_allclose(mine, other, atol=5e-6)


def test_zero_weight_rows_do_not_count(checkpoint: Path) -> None:
    full, part = (without_dropout(load(checkpoint)) for _ in range(2))
    batch = some_batch(rows=6)
    batch[ROW_WEIGHT] = tf.constant([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    settings = train_settings(adam_epsilon=0.1)
    first = make_step(full, settings).update(batch, 0, RATE)
    second = make_step(part, settings).update(rows_of(batch, 0, 4), 0, RATE)
    assert first.numpy() == pytest.approx(second.numpy(), abs=1e-6)
    for mine, other in zip(weights(full), weights(part), strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-6)


def test_batch_of_weight_zero_changes_no_weight_and_no_moment(checkpoint: Path) -> None:
    model = load(checkpoint)
    before = weights(model)
    batch = some_batch(rows=3)
    batch[ROW_WEIGHT] = tf.constant([0.0, 0.0, 0.0])
    settings = train_settings(class_weights={"animal": 0.0}, weight_decay=0.1)
    variables = trained_variables(model, settings.freeze)
    optimizer = AdamW(variables, settings, forward_of(model).is_decayed)
    step = TrainStep(model, variables, optimizer, settings, STRATEGY, INPUTS, TASK)
    assert step.update(batch, 0, RATE).numpy() == 0.0
    assert (optimizer.step.numpy(), optimizer.updates.numpy()) == (1, 0)
    for mine, other in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(mine, other)
    batch[ROW_WEIGHT] = tf.constant([0.0, 1.0, 0.0])
    assert step.update(batch, 1, RATE).numpy() > 0.0
    assert (optimizer.step.numpy(), optimizer.updates.numpy()) == (2, 1)


def test_row_weights_weigh_the_loss(checkpoint: Path) -> None:
    model = without_dropout(load(checkpoint))
    batch = some_batch(rows=2)
    losses = row_losses(forward_of(model).classify(model, batch), batch).numpy()
    batch[ROW_WEIGHT] = tf.constant([3.0, 1.0])
    loss = make_step(model, train_settings()).update(batch, 0, RATE).numpy()
    assert loss == pytest.approx((3 * losses[0] + losses[1]) / 4, abs=1e-5)


def test_frozen_parts_keep_their_weights(checkpoint: Path) -> None:
    model = load(checkpoint)
    settings = train_settings(freeze=FreezeSettings(embeddings=True, layers=1))
    before = {v.name: v.numpy() for v in model.trainable_variables}
    make_step(model, settings).update(some_batch(), 0, RATE)
    same = {v.name for v in model.trainable_variables if np.array_equal(before[v.name], v.numpy())}
    frozen = {name for name in before if "/embeddings/" in name or "layer_._0" in name}
    assert same == frozen


@pytest.mark.parametrize("values", [{"bf16": True}, {"fp16": True}, {"xla": True}])
def test_other_ways_to_compute_lower_the_loss(checkpoint: Path, values: dict[str, Any]) -> None:
    step, batch = make_step(load(checkpoint), train_settings(**values)), some_batch()
    losses = [float(step.update(batch, i, tf.constant(0.003))) for i in range(12)]
    assert losses[-1] < 0.7 * losses[0]
