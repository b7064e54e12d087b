"""Figures computed by hand, and their form compared with what Kubeflow's own SDK writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from kfp import dsl

from models.tasks.single_label import figures
from tests.components.report.sample import CLASSES, LABEL_IDS, PROBABILITIES


def test_a_row_of_the_matrix_is_a_label_and_rows_without_a_known_label_do_not_count():
    matrix = figures.confusion_matrix(LABEL_IDS, PROBABILITIES, CLASSES)
    assert matrix.counts.tolist() == [[3, 1], [1, 2]]


def test_confusion_metadata_is_what_the_sdk_writes():
    written = dsl.ClassificationMetrics()
    written.log_confusion_matrix(["ham", "spam"], [[3, 1], [1, 2]])
    matrix = figures.confusion_matrix(LABEL_IDS, PROBABILITIES, CLASSES)
    assert figures.confusion_metadata(matrix) == written.metadata["confusionMatrix"]


def test_roc_metadata_is_what_the_sdk_writes_and_json_can_hold():
    curve = figures.roc_curve(LABEL_IDS, PROBABILITIES, CLASSES)
    written = dsl.ClassificationMetrics()
    written.log_roc_curve(
        [p.false_positive_rate for p in curve.points],
        [p.true_positive_rate for p in curve.points],
        [p.threshold for p in curve.points],
    )
    told = figures.roc_metadata(curve)
    assert told == written.metadata["confidenceMetrics"]
    json.dumps(told, allow_nan=False)


def test_roc_curve_goes_from_no_row_to_every_row_and_its_area_counts_the_pairs_in_order():
    curve = figures.roc_curve(LABEL_IDS, PROBABILITIES, CLASSES)
    assert curve.positive == "spam"
    rates = [(round(p.false_positive_rate, 3), round(p.true_positive_rate, 3)) for p in curve.points]
    assert rates == [(0, 0), (0, 0.333), (0, 0.667), (0.25, 0.667), (0.25, 1), (0.5, 1), (0.75, 1), (1, 1)]
    # Of the 4 * 3 pairs of ham and spam, only (0.7, 0.4) is in the wrong order.
    assert curve.area == pytest.approx(11 / 12)


def test_equal_scores_are_one_point_of_the_curve():
    curve = figures.roc_curve(np.array([0, 1, 0, 1]), np.full((4, 2), 0.5, np.float32), CLASSES)
    assert [p[1:] for p in curve.points] == [(0, 0), (1, 1)]
    assert curve.area == 0.5


@pytest.mark.parametrize(
    ("label_ids", "classes"), [([0, 1, 2], ("a", "b", "c")), ([1, 1], ("a", "b")), ([0, -1], ("a", "b"))]
)
def test_no_curve_without_two_classes_that_both_have_rows(label_ids, classes):
    probabilities = np.full((len(label_ids), len(classes)), 1 / len(classes), np.float32)
    assert figures.roc_curve(np.array(label_ids), probabilities, classes) is None


def test_a_long_curve_keeps_its_ends_and_its_area():
    generator = np.random.default_rng(0)
    scores = generator.random(5000).astype(np.float32)
    label_ids = (generator.random(5000) < scores).astype(int)
    curve = figures.roc_curve(label_ids, np.stack([1 - scores, scores], 1), CLASSES)
    assert len(curve.points) == 200
    assert (curve.points[0][1:], curve.points[-1][1:]) == ((0.0, 0.0), (1.0, 1.0))
    wins = (scores[label_ids == 1][:, None] > scores[label_ids == 0][None]).mean()
    assert curve.area == pytest.approx(wins, abs=1e-4)


def test_folding_keeps_every_row_and_the_classes_with_the_most_mistakes():
    counts = np.diag([100, 100, 100, 100])
    counts[1, 3] = 9
    counts[0, 1] = 2
    folded = figures.folded(figures.ConfusionMatrix(("a", "b", "c", "d"), counts), limit=3)
    assert folded.classes == ("b", "d", "(all others)")
    assert folded.counts.tolist() == [[100, 9, 0], [0, 100, 0], [2, 0, 200]]


def test_few_classes_are_not_folded():
    matrix = figures.ConfusionMatrix(("a", "b"), np.eye(2, dtype=int))
    assert figures.folded(matrix) is matrix


def test_calibration_compares_confidence_with_accuracy_bin_by_bin():
    label_ids = np.array([0, 0, 1, 1, 1])
    probabilities = np.array([[0.92, 0.08], [0.98, 0.02], [0.94, 0.06], [0.4, 0.6], [0.0, 1.0]], np.float32)
    told = figures.calibration(label_ids, probabilities)
    assert [(b.low, b.high, b.rows, b.accuracy) for b in told.bins] == [
        (0.6, 0.7, 1, 1.0),
        (0.9, 1.0, 4, 0.75),
    ]
    assert told.bins[1].confidence == pytest.approx(0.96)
    assert told.error == pytest.approx((0.4 + 4 * 0.21) / 5, abs=1e-6)


def test_no_calibration_without_a_labelled_row():
    assert figures.calibration(np.array([-1]), np.array([[0.5, 0.5]], np.float32)) is None


def test_macro_f1_counts_every_class_alike():
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]], np.float32)
    assert figures.measure("macro_f1", labels, probabilities) == pytest.approx(6 / 7 / 2)
    assert figures.measure("accuracy", labels, probabilities) == 0.75


def test_two_models_agree_on_the_rows_that_they_answer_alike():
    ours = np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)
    assert figures.agreement(ours, np.array([[0.6, 0.4], [0.7, 0.3]], np.float32)) == 0.5


def test_mistakes_leave_out_rows_whose_label_the_model_does_not_have():
    labels = ["spam", "eggs", "ham"]
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]], np.float32)
    ids = figures.label_ids(labels, CLASSES)
    assert ids.tolist() == [1, -1, 0]
    [found] = figures.mistakes([["win!"], ["?"], ["hello"]], labels, ids, probabilities, CLASSES)
    assert found == figures.Mistake(("win!",), "spam", "ham", 0.75, 0.25)
    assert figures.gravity(found) == 0.25
    assert figures.describe_mistake(found) == [("labelled", "spam", "25.0%"), ("predicted", "ham", "75.0%")]
