"""What a config may name depends on its task."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UsageError
from pipeline.config import load_config

CONFIG = """\
name: mine
task: {task}
data: {{path: data, schema: schema.pbtxt, label_list: labels.txt}}
model: {{checkpoint: {{path: encoder}}}}
evaluate: {{thresholds: {{{metric}: {{min: 0.1}}}}}}
push: {{serving_dir: serving}}
"""


def load(folder: Path, task: str, metric: str, *overrides: str):
    path = folder / "mine.yaml"
    path.write_text(CONFIG.format(task=task, metric=metric))
    return load_config(path, overrides)


@pytest.mark.parametrize(
    ("task", "metric", "best"),
    [
        ("multi_label", "micro_f1", "micro_f1"),
        ("regression", "r2", "rmse"),
        ("token_labels", "span_f1", "span_f1"),
    ],
)
def test_defaults_are_the_tasks(tmp_path, task, metric, best):
    config = load(tmp_path, task, metric)
    assert config.train.metric_for_best_model == best
    assert metric in config.evaluate.metrics


@pytest.mark.parametrize(
    ("task", "metric", "override", "reason"),
    [
        (
            "multi_label",
            "accuracy",
            "",
            "evaluate.thresholds: task 'multi_label' has no metric 'accuracy'; it has micro_f1",
        ),
        (
            "regression",
            "r2",
            "train.metric_for_best_model=accuracy",
            "task 'regression' has no metric 'accuracy'; it has rmse",
        ),
        (
            "token_labels",
            "span_f1",
            "data.text_pair=second",
            "data.text_pair: task 'token_labels' labels the words of one text, got 'second'; remove it",
        ),
        (
            "token_labels",
            "span_f1",
            "transform.window={stride: 8}",
            "transform.window: task 'token_labels' has no windows; remove it and raise transform.max_length",
        ),
        (
            "token_labels",
            "span_f1",
            "evaluate.slices=[{columns: [label]}]",
            "evaluate.slices.0.columns: 'label' has a tag for each word, so a row has no slice; remove it",
        ),
        (
            "token_labels",
            "span_f1",
            "export={onnx: {}}",
            "export.onnx: models of task 'token_labels' cannot be exported; remove it",
        ),
        (
            "token_labels",
            "span_f1",
            "train.loss=sigmoid_cross_entropy",
            "train.loss must be one of first_pieces, all_pieces for task 'token_labels', got 'sigmoid_cross_entropy'",
        ),
        (
            "token_labels",
            "micro_f1",
            "",
            "evaluate.thresholds: task 'token_labels' has no metric 'micro_f1'; it has span_f1",
        ),
        (
            "regression",
            "r2",
            "transform.words=whitespace",
            "transform.words: task 'regression' does not label words, got 'whitespace'; remove it",
        ),
        (
            "regression",
            "r2",
            "train.class_weights=balanced",
            "train.class_weights: task 'regression' has no classes, got 'balanced'",
        ),
        (
            "regression",
            "r2",
            "train.label_smoothing_factor=0.1",
            "train.label_smoothing_factor: task 'regression' has no classes",
        ),
        (
            "multi_label",
            "micro_f1",
            "train.loss=mse",
            "train.loss must be one of sigmoid_cross_entropy for task 'multi_label', got 'mse'",
        ),
        (
            "single_label",
            "accuracy",
            "train.loss=huber",
            "train.loss must be one of cross_entropy for task 'single_label', got 'huber'",
        ),
        (
            "multi_label",
            "micro_f1",
            "export.tfjs={}",
            "export.tfjs: models of task 'multi_label' cannot be exported; remove it",
        ),
        (
            "regression",
            "r2",
            "export.tflite={metric: accuracy}",
            "export.tflite.metric must be one of r2, pearson, spearman for task 'regression', got 'accuracy'",
        ),
        (
            "regression",
            "r2",
            "evaluate.thresholds={r2: {min: 1.5}}",
            "thresholds.r2.min must be 1 or less, got 1.5",
        ),
        (
            "regression",
            "pearson",
            "evaluate.thresholds={pearson: {min: -2}}",
            "thresholds.pearson.min must be in [-1, 1], got -2",
        ),
        (
            "regression",
            "r2",
            "evaluate.slices=[{columns: [label]}]",
            "evaluate.slices.0.columns: 'label' has a number for each row, so each row would be a slice; remove it",
        ),
        (
            "regression",
            "r2",
            "evaluate.classes=[{labels: [y], thresholds: {f1: {min: 0.1}}}]",
            "evaluate.classes: task 'regression' has no measure 'f1' of a label; it has none, because it has no classes",
        ),
        (
            "single_label",
            "accuracy",
            "evaluate.classes=[{labels: [y], thresholds: {auc: {min: 0.1}}}]",
            "evaluate.classes: task 'single_label' has no measure 'auc' of a label; it has precision, recall, f1",
        ),
        (
            "multi_label",
            "micro_f1",
            "evaluate.classes=[{labels: [y], thresholds: {f1: {min: 1.1}}}]",
            "classes.f1.min must be in [0, 1], got 1.1",
        ),
        (
            "multi_label",
            "micro_f1",
            "evaluate.classes=[{labels: [y, z], thresholds: {f1: {min: 0.1}}}, {labels: [z], thresholds: {f1: {min: 0.2}}}]",
            "classes give f1 of z twice; remove one",
        ),
        ("regression", "r2", "evaluate.thresholds={rmse: {max: 2, max_drop: 0.1}}", ""),
    ],
)
def test_what_the_task_does_not_have_is_an_error_of_the_config(tmp_path, task, metric, override, reason):
    if not reason:
        assert load(tmp_path, task, metric, override).evaluate.thresholds["rmse"].max == 2
        return
    with pytest.raises(UsageError) as caught:
        load(tmp_path, task, metric, *([override] if override else []))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("task", "metric", "gated"), [("multi_label", "micro_f1", "micro_f1"), ("regression", "r2", "r2")]
)
def test_exports_are_held_to_a_metric_of_the_task(tmp_path, task, metric, gated):
    config = load(tmp_path, task, metric, "export.onnx={}", "export.tflite={}")
    assert (config.export.onnx.metric, config.export.tflite.metric) == (gated, gated)


def test_bounds_of_correlations_and_r2_may_be_negative(tmp_path):
    config = load(tmp_path, "regression", "r2", "evaluate.thresholds={r2: {min: -3}, spearman: {min: -0.5}}")
    assert config.evaluate.thresholds["r2"].min == -3
