"""A training through a class of transformers that was interrupted ends with the weights that it would have had.

docs/architectures.md has the same of every architecture, in another process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import progress
from components.trainer.settings import TrainSettings
from components.trainer.train_loop import TrainingData, read_data, train
from models.checkpoints.classifier import load_classifier
from tests.components.trainer.conftest import (  # noqa: F401  # a fixture
    INPUTS,
    LABELS,
    TASK,
    learnable_rows,
    write_rows,
)
from tests.support.tiny_encoders import write_encoder

SETTINGS = TrainSettings(
    epochs=4, batch_size=16, learning_rate=3e-3, evaluations_per_epoch=1, tensorboard=False
)


@pytest.fixture
def data(tmp_path: Path, write_rows: Any) -> TrainingData:  # noqa: F811
    path = str(write_rows(tmp_path / "rows.gz", learnable_rows(16)))
    return read_data([path], [path], LABELS, 110, INPUTS, TASK)


def test_interrupted_training_ends_with_the_same_weights(tmp_path: Path, data: TrainingData) -> None:
    folder = write_encoder(tmp_path / "encoder", "gpt2", learns=True, vocab_size=110, n_layer=1)

    def trained(state: str) -> tuple[Any, list[np.ndarray]]:
        model = load_classifier(folder, LABELS)
        history = train(model, data, SETTINGS, tf.distribute.get_strategy(), tmp_path / state)
        return history, [variable.numpy() for variable in model.trainable_variables]

    def interrupt(report: progress.TrainProgress) -> None:
        if report.step == 2:
            raise KeyboardInterrupt

    progress.set_sink(lambda report: None)
    straight, expected = trained("straight")
    progress.set_sink(interrupt)
    with pytest.raises(KeyboardInterrupt):
        trained("state")
    progress.set_sink(lambda report: None)
    resumed, weights = trained("state")
    progress.set_sink(None)
    assert resumed.resumed_at == [2]
    assert resumed.evaluations == straight.evaluations
    for mine, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(mine, other)
