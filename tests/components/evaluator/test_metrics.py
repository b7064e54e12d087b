"""TFMA's figures and verdicts for an EvalConfig of this project, compared with values computed by hand.

The model is a real SavedModel that answers what its text says: "1 0.8" gives class 1 a probability of 0.8.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma

from components.evaluator.settings import EvaluateSettings
from models import features
from models.tasks.task import TASKS
from pipeline.eval_config import make_eval_config

LABELS = ["a", "b", "c"]
# Label and prediction. The class with 0.4 is the most probable one although 0.4 is below 0.5.
ROWS = [("a", "0 0.9"), ("a", "0 0.4"), ("a", "1 0.8"), ("b", "1 0.9"), ("b", "1 0.5"), ("c", "0 0.7")]


class SayingModel(tf.Module):
    """Answers the class and the probability that the text names; `swap` exchanges classes 0 and 1."""

    def __init__(self, swap: bool = False):
        super().__init__()
        self.swap = swap

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(self, text):
        parts = tf.strings.to_number(tf.strings.split(text).to_tensor())
        chosen = tf.one_hot(tf.cast(parts[:, 0], tf.int32), len(LABELS))
        value = parts[:, 1:]
        probabilities = chosen * value + (1.0 - chosen) * (1.0 - value) / (len(LABELS) - 1)
        if self.swap:
            probabilities = tf.gather(probabilities, [1, 0, 2], axis=1)
        classes = tf.tile(tf.constant([LABELS]), [tf.shape(text)[0], 1])
        return {features.PROBABILITIES: probabilities, features.CLASSES: classes}


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory) -> str:
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.tfrecord")


def write_rows(path: Path) -> str:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for label, text in ROWS:
            example = tf.train.Example()
            example.features.feature["text"].bytes_list.value.append(text.encode())
            example.features.feature["label"].bytes_list.value.append(label.encode())
            writer.write(example.SerializeToString())
    return str(path)


def save(folder: Path, swap: bool = False) -> str:
    model = SayingModel(swap)
    tf.saved_model.save(model, str(folder), signatures={features.SERVING_SIGNATURE: model.serve})
    return str(folder)


def analyse(
    rows_file: str, folder: Path, evaluate: dict, swapped: bool = False, baseline_swapped: bool | None = None
):
    settings = EvaluateSettings.model_validate(evaluate)
    config = make_eval_config(TASKS["single_label"], settings, "label", LABELS)
    models = [save(folder / "candidate", swapped)]
    if baseline_swapped is None:
        config = tfma.utils.update_eval_config_with_defaults(config, has_baseline=False, rubber_stamp=True)
    else:
        models.append(save(folder / "baseline", baseline_swapped))
    shared = [
        tfma.default_eval_shared_model(eval_saved_model_path=path, model_name=spec.name, eval_config=config)
        for path, spec in zip(models, config.model_specs, strict=True)
    ]
    out = str(folder / "evaluation")
    result = tfma.run_model_analysis(
        eval_shared_model=shared if len(shared) > 1 else shared[0],
        eval_config=config,
        data_location=rows_file,
        output_path=out,
    )
    return result, tfma.load_validation_result(out)


def figure(result, metric: str, class_id: int | None = None, slice_key: tuple = ()) -> float:
    return result.get_metrics_for_slice(slice_key, class_id=class_id)[metric]["doubleValue"]


@pytest.fixture(scope="module")
def evaluated(rows_file, tmp_path_factory):
    return analyse(
        rows_file,
        tmp_path_factory.mktemp("evaluated"),
        {
            "thresholds": {"accuracy": {"min": 0.66}, "auc": {"min": 0.0}},
            "metrics": ["cross_entropy", "micro_f1"],
            "slices": [{"columns": ["label"], "thresholds": {"accuracy": {"min": 0.5}}}],
        },
    )


def test_accuracy_counts_the_most_probable_class_even_below_a_half(evaluated):
    assert figure(evaluated[0], "accuracy") == pytest.approx(4 / 6)
    assert figure(evaluated[0], "micro_f1") == pytest.approx(4 / 6)


def test_macro_figures_are_unweighted_means_over_classes(evaluated):
    # a: 2 correct of 3 predicted and 3 labelled; b: 2 of 3 and 2; c: none of 0 and 1.
    assert figure(evaluated[0], "macro_precision") == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert figure(evaluated[0], "macro_recall") == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert figure(evaluated[0], "macro_f1") == pytest.approx((2 / 3 + 0.8 + 0) / 3)


def test_figures_of_one_class_are_reported_too(evaluated):
    assert figure(evaluated[0], "macro_f1", class_id=1) == pytest.approx(0.8)
    assert figure(evaluated[0], "macro_recall", class_id=2) == 0.0


def test_cross_entropy_is_the_mean_over_rows(evaluated):
    said = [0.9, 0.4, 0.1, 0.9, 0.5, 0.15]
    assert figure(evaluated[0], "cross_entropy") == pytest.approx(
        -sum(math.log(p) for p in said) / len(said), rel=1e-5
    )


def test_slice_of_one_label_is_not_punished_for_the_classes_it_lacks(evaluated):
    assert figure(evaluated[0], "macro_f1", slice_key=(("label", "b"),)) == pytest.approx(1.0)


def test_slice_below_its_own_threshold_refuses_the_model(evaluated):
    validation = evaluated[1]
    assert not validation.validation_ok
    failed = {
        (s.slice_key.single_slice_keys[0].bytes_value, f.metric_key.name, f.metric_value.double_value.value)
        for s in validation.metric_validations_per_slice
        for f in s.failures
    }
    assert failed == {(b"c", "accuracy", 0.0)}


def test_overall_threshold_is_not_held_against_slices(rows_file, tmp_path):
    # 4 of 6 rows are right, but none of class c.
    settings = {"thresholds": {"accuracy": {"min": 0.66}}, "slices": [{"columns": ["label"]}]}
    assert analyse(rows_file, tmp_path, settings)[1].validation_ok


@pytest.mark.parametrize(
    "bounds",
    [
        {"thresholds": {"accuracy": {"min": 0.0, "max_drop": 0.0}}},
        {"thresholds": {"cross_entropy": {"max": 99.0, "max_rise": 0.0}}},
        {
            "thresholds": {"accuracy": {"min": 0.0}},
            "classes": [{"labels": ["b"], "thresholds": {"recall": {"max_drop": 0.0}}}],
        },
    ],
)
def test_better_or_equal_to_the_baseline_is_blessed_and_worse_is_not(rows_file, tmp_path, bounds):
    # The swapped model is right on one row of six, the other on four.
    verdicts = {
        name: analyse(rows_file, tmp_path / name, bounds, candidate, baseline)[1].validation_ok
        for name, candidate, baseline in (
            ("better", False, True),
            ("equal", False, False),
            ("worse", True, False),
        )
    }
    assert verdicts == {"better": True, "equal": True, "worse": False}
