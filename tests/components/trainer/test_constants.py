"""What a task takes from labels and chooses on the eval split belongs to the weights that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.trainer import progress
from components.trainer.train_loop import TrainingData, read_data, train
from models.checkpoints.classifier import load_classifier
from models.tasks.task import TASKS
from tests.components.trainer.conftest import INPUTS, LABELS, learnable_rows
from tests.components.trainer.test_train_loop import settings

STRATEGY = tf.distribute.get_strategy()


def ints(values: list[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def write(path: Path, count: int, seed: int) -> str:
    """Rows with the label of their topic; those with an even number of tokens have label 0, too."""
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for ids, label in learnable_rows(count, seed):
            several = sorted({label, *([] if len(ids) % 2 else [0])})
            features = tf.train.Features(feature={"input_ids": ints(ids), "label_ids": ints(several)})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return str(path)


@pytest.fixture
def data(tmp_path: Path) -> TrainingData:
    splits = [[write(tmp_path / "train.gz", 192, 1)], [write(tmp_path / "eval.gz", 60, 2)]]
    return read_data(*splits, LABELS, 110, INPUTS, TASKS["multi_label"])


def test_a_resumed_run_ships_the_thresholds_of_the_weights_that_it_keeps(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    # The rate rises until the model unlearns what it has learned, so the weights that are kept are not the last ones.
    rate = {"learning_rate": 0.02, "warmup_ratio": 1.0}
    chosen = settings(epochs=4, evaluations_per_epoch=3, metric_for_best_model="micro_f1", **rate)
    expected = train(load_classifier(checkpoint, LABELS), data, chosen, STRATEGY, tmp_path / "straight")
    last = expected.total_steps

    def interrupt(report: progress.TrainProgress) -> None:
        if report.eval_metrics and report.step == last - 4:
            raise KeyboardInterrupt

    progress.set_sink(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(load_classifier(checkpoint, LABELS), data, chosen, STRATEGY, tmp_path / "state")
    finally:
        progress.set_sink(None)
    resumed: Any = train(load_classifier(checkpoint, LABELS), data, chosen, STRATEGY, tmp_path / "state")
    assert resumed.resumed_at == [last - 4]
    assert expected.best["step"] < last - 4  # so the thresholds of the kept weights are in the training state
    assert len(set(expected.constants["thresholds"])) > 1
    assert resumed.constants == expected.constants
    assert resumed.best == expected.best
