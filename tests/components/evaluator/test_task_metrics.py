"""Metrics that a task computes, through TFMA: slices, confidence intervals, thresholds and values by label.

The models are real SavedModels that answer what their text says.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma

from components.evaluator.evaluation import read_evaluation
from components.evaluator.settings import EvaluateSettings
from models import features
from models.tasks.task import TASKS
from pipeline.eval_config import make_eval_config
from tests.support.own_package import write_own_parts

LABELS = ["a", "b", "c"]
# Labels, and the score of each label; a label is answered from 0.5 on.
SEVERAL = [
    (["a"], "0.9 0.2 0.1", "x"),
    (["a", "b"], "0.4 0.8 0.1", "x"),
    (["b"], "0.7 0.6 0.1", "y"),
    ([], "0.2 0.3 0.1", "y"),
]
NUMBERS = [(1.0, "1", "x"), (2.0, "3", "x"), (3.0, "2", "y"), (6.0, "6", "y")]


class Several(tf.Module):
    """Answers labels with the scores that the text names."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(self, text):
        scores = tf.strings.to_number(tf.strings.split(text).to_tensor())
        names = tf.tile(tf.constant([LABELS]), [tf.shape(text)[0], 1])
        return {
            features.PROBABILITIES: scores,
            features.CLASSES: names,
            features.APPLYING_LABELS: tf.where(scores >= 0.5, names, ""),
        }


class Classes(tf.Module):
    """Answers with the probabilities that the text names."""

    def __init__(self, labels: list[str]) -> None:
        super().__init__()
        self.labels = labels

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(self, text):
        names = tf.tile(tf.constant([self.labels]), [tf.shape(text)[0], 1])
        scores = tf.strings.to_number(tf.strings.split(text).to_tensor())
        return {features.PROBABILITIES: scores, features.CLASSES: names}


class Number(tf.Module):
    """Answers the number that the text is."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(self, text):
        return {features.VALUE: tf.strings.to_number(text), features.TARGET_NAME: text}


def evaluated(folder: Path, model: tf.Module, rows: list, task: str, labels: list[str], **evaluate):
    """Runs TFMA as the Evaluator does, and reads its files."""
    import components.evaluator.eval_model as eval_model

    tf.saved_model.save(model, str(folder / "model"), signatures={"serving_default": model.serve})
    with tf.io.TFRecordWriter(str(folder / "rows.tfrecord")) as writer:
        for label, text, source in rows:
            example = tf.train.Example()
            example.features.feature["text"].bytes_list.value.append(text.encode())
            example.features.feature["source"].bytes_list.value.append(source.encode())
            feature = example.features.feature["label"]
            if isinstance(label, float):
                feature.float_list.value.append(label)
            else:
                feature.bytes_list.value.extend(name.encode() for name in label)
            writer.write(example.SerializeToString())
    intervals = evaluate.pop("intervals", False)
    settings = EvaluateSettings.model_validate(evaluate)
    config = make_eval_config(TASKS[task], settings, "label", labels)
    del config.model_specs[1]
    config.options.compute_confidence_intervals.value = intervals
    shared = eval_model.default_eval_shared_model(
        str(folder / "model"), eval_config=config, model_name="candidate"
    )
    tfma.run_model_analysis(
        shared,
        eval_config=config,
        data_location=str(folder / "rows.tfrecord"),
        output_path=str(folder / "out"),
    )
    return read_evaluation(folder / "out", "label")


def interval_of(folder: Path, metric: str) -> dict[str, float]:
    """The confidence interval of a metric of the whole split; slices are in any order."""
    results = dict(tfma.load_eval_result(str(folder / "out")).slicing_metrics)
    return results[()][""][""][metric]["boundedValue"]


def test_several_labels_with_slices_and_values_by_label(tmp_path):
    found = evaluated(
        tmp_path,
        Several(),
        SEVERAL,
        "multi_label",
        LABELS,
        metrics=["micro_f1", "auc", "mean_average_precision"],
        thresholds={"micro_f1": {"min": 0.8}},
        classes=[
            {"labels": ["a", "b"], "thresholds": {"f1": {"min": 0.6}, "auc": {"min": 0.5}}},
            {"labels": ["c"], "thresholds": {"recall": {"min": 0.1}}},
        ],
        slices=[{"columns": ["source"], "thresholds": {"sample_f1": {"min": 0.83}}}],
    )
    assert found.metrics == pytest.approx(
        {
            "micro_f1": 0.75,
            "macro_precision": 0.75,
            "macro_recall": 0.75,
            "macro_f1": 0.75,
            "sample_f1": 5 / 6,
            "subset_accuracy": 0.5,
            "example_count": 4,
            "auc": 0.875,
            "mean_average_precision": (1 / 2 + 1 / 2 * 2 / 3 + 1) / 2,
            "f1 of a": 0.5,
            "f1 of b": 1.0,
            "auc of a": 0.75,
            "auc of b": 1.0,
            "recall of c": math.nan,
        },
        nan_ok=True,
    )
    assert found.per_class["f1"] == {0: 0.5, 1: 1.0}
    assert list(found.per_class)[-1] == "f1"
    assert {name: values["micro_f1"] for name, values in found.slices.items()} == pytest.approx(
        {"source=x": 0.8, "source=y": 2 / 3}
    )
    assert sorted(found.refusals) == [
        "f1 of a 0.5 is below the threshold 0.6",
        "micro_f1 0.75 is below the threshold 0.8",
        "recall of c is undefined (too few different labels)",
    ]


def test_numbers_with_slices_and_confidence_intervals(tmp_path):
    found = evaluated(
        tmp_path,
        Number(),
        NUMBERS * 20,
        "regression",
        ["stars"],
        metrics=["rmse", "mae", "r2", "pearson", "spearman"],
        thresholds={"rmse": {"max": 0.5}, "r2": {"min": -1.0}},
        slices=[{"columns": ["source"]}],
        intervals=True,
    )
    assert found.metrics == pytest.approx(
        {
            "rmse": 0.5**0.5,
            "mae": 0.5,
            "r2": 1 - 2 / 14,
            "pearson": 13 / 14,
            "spearman": 0.8,
            "example_count": 80,
        }
    )
    assert {name: values["mae"] for name, values in found.slices.items()} == {
        "source=x": 0.5,
        "source=y": 0.5,
    }
    assert found.refusals == ("rmse 0.7071 is above the threshold 0.5",)
    bounds = interval_of(tmp_path, "rmse")
    assert bounds["lowerBound"] < bounds["value"] < bounds["upperBound"]


def test_a_bound_of_a_metric_that_rows_do_not_define_is_not_met(tmp_path):
    found = evaluated(
        tmp_path,
        Number(),
        [*NUMBERS[:2], (4.0, "4", "z")],
        "regression",
        ["stars"],
        metrics=["r2"],
        thresholds={"rmse": {"max": 5.0}},
        slices=[{"columns": ["source"], "thresholds": {"r2": {"min": -5.0}}}],
    )
    assert found.refusals == ("r2 is undefined (too few different labels) on slice source=z",)


def test_the_label_is_among_the_most_probable_classes(tmp_path):
    rows = [  # the label's rank: 0, 2, 3 (the first of equals is chosen), 5 for a label that is no class
        (["a"], "0.5 0.1 0.2 0.1 0.1", "x"),
        (["d"], "0.3 0.3 0.1 0.2 0.1", "x"),
        (["e"], "0.3 0.1 0.2 0.2 0.2", "y"),
        (["z"], "0.3 0.1 0.2 0.2 0.2", "y"),
    ]
    found = evaluated(
        tmp_path,
        Classes([*"abcde"]),
        rows * 20,
        "single_label",
        [*"abcde"],
        metrics=["top_3_accuracy", "top_5_accuracy"],
        thresholds={"top_3_accuracy": {"min": 0.6}},
        slices=[{"columns": ["source"], "thresholds": {"top_5_accuracy": {"min": 0.5}}}],
        intervals=True,
    )
    assert (found.metrics["top_3_accuracy"], found.metrics["top_5_accuracy"]) == (0.5, 0.75)
    assert {name: values["top_3_accuracy"] for name, values in found.slices.items()} == {
        "source=x": 1.0,
        "source=y": 0.0,
    }
    assert found.refusals == ("top_3_accuracy 0.5 is below the threshold 0.6",)
    bounds = interval_of(tmp_path, "top_3_accuracy")
    assert bounds["lowerBound"] < bounds["value"] < bounds["upperBound"]


OWN = """
import numpy as np

class Missed:
    title, lower_is_better = "missed labels", True
    def __init__(self, labels):
        self._labels = [label.encode() for label in labels]
    def sums(self, targets, outputs):
        missed = [[self._labels[i] not in answer for i in ids] for ids, answer in zip(targets, outputs["labels"])]
        return np.array([sum(map(sum, missed)), sum(map(len, missed))])
    def value(self, sums):
        return sums[0] / sums[1] if sums[1] else float("nan")

class LargeErrors:
    title, lower_is_better = "large errors", True
    def __init__(self, labels):
        assert labels == ["stars"]
    def sums(self, targets, outputs):
        return np.array([(np.abs(targets - outputs["value"]) > 0.5).sum(), len(targets)])
    def value(self, sums):
        return sums[0] / sums[1]
"""


def test_the_users_metric_of_several_labels_is_sliced_and_gated(tmp_path, monkeypatch):
    write_own_parts(tmp_path, {"mine": OWN}, monkeypatch)
    name = "own_parts.mine.Missed"
    found = evaluated(
        tmp_path,
        Several(),
        SEVERAL,
        "multi_label",
        LABELS,
        metrics=["micro_f1"],
        thresholds={name: {"max": 0.2}},
        slices=[{"columns": ["source"], "thresholds": {name: {"max": 0.3}}}],
    )
    # Of a; a and b; b; none, the rows with a and b miss a.
    assert found.metrics[name] == 0.25
    assert {where: values[name] for where, values in found.slices.items()} == pytest.approx(
        {"source=x": 1 / 3, "source=y": 0.0}
    )
    assert found.refusals == (
        f"{name} 0.25 is above the threshold 0.2",
        f"{name} 0.3333 is above the threshold 0.3 on slice source=x",
    )


def test_the_users_metric_is_compared_in_its_direction(tmp_path, monkeypatch):
    write_own_parts(tmp_path, {"mine": OWN}, monkeypatch)
    bounds = {"max": 0.2, "max_rise": 0.1}
    settings = EvaluateSettings.model_validate(
        {"metrics": ["micro_f1"], "thresholds": {"own_parts.mine.Missed": bounds}}
    )
    config = make_eval_config(TASKS["multi_label"], settings, "label", LABELS)
    [metric] = [m for spec in config.metrics_specs for m in spec.metrics if m.class_name == "OwnMetric"]
    change = metric.per_slice_thresholds[0].threshold.change_threshold
    assert change.direction == tfma.MetricDirection.LOWER_IS_BETTER
    assert change.absolute.value == pytest.approx(0.1)


def test_the_users_metric_of_numbers_has_a_confidence_interval(tmp_path, monkeypatch):
    write_own_parts(tmp_path, {"mine": OWN}, monkeypatch)
    name = "own_parts.mine.LargeErrors"
    found = evaluated(
        tmp_path,
        Number(),
        NUMBERS * 20,
        "regression",
        ["stars"],
        metrics=[name],
        thresholds={"rmse": {"max": 5.0}},
        intervals=True,
    )
    assert found.metrics[name] == pytest.approx(0.5)
    bounds = interval_of(tmp_path, name)
    assert bounds["lowerBound"] < bounds["value"] < bounds["upperBound"]
