"""Scores of the training loop, compared with scikit-learn's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from models.tasks.objective import Objective
from models.tasks.single_label import evaluation, head

CLASSES = 7


def scores(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Of the rows, in two batches, with a row of weight 0."""
    sums = 0.0
    for part in (slice(0, 2), slice(2, None)):
        ids, values = np.append(labels[part], 0), np.concatenate([logits[part], np.full([1, CLASSES], 9.0)])
        weights = np.append(np.ones(len(labels[part])), 0.0)
        batch = {"label_id": tf.constant(ids, tf.int32)}
        given = tf.constant(values, tf.float32)
        sums = sums + head.score_sums(given, batch, tf.constant(weights, tf.float32)).numpy()
    return head.scores(sums)


@given(st.lists(st.integers(0, CLASSES - 1), min_size=3, max_size=30), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_scores_are_those_of_scikit_learn(labels: list[int], seed: int) -> None:
    ids, rng = np.array(labels), np.random.default_rng(seed)
    logits = rng.normal(size=(len(ids), CLASSES)) + 1.5 * np.eye(CLASSES)[ids]
    chosen, found = logits.argmax(1), scores(ids, logits)
    every = {"labels": range(CLASSES)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that do not occur
        expected = {
            "accuracy": sk.accuracy_score(ids, chosen),
            "macro_f1": sk.f1_score(ids, chosen, average="macro"),
            "macro_precision": sk.precision_score(ids, chosen, average="macro"),
            "macro_recall": sk.recall_score(ids, chosen, average="macro"),
            "mcc": sk.matthews_corrcoef(ids, chosen),
            "top_3_accuracy": sk.top_k_accuracy_score(ids, logits, k=3, **every),
            "top_5_accuracy": sk.top_k_accuracy_score(ids, logits, k=5, **every),
            "micro_f1": sk.f1_score(ids, chosen, average="micro"),
            "loss": sk.log_loss(ids, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), **every),
        }
        expected["cross_entropy"] = expected["loss"]
    # Each class that some rows have and some do not, against all others; logits in a bin of 1/16 are equal.
    areas = [
        sk.roc_auc_score(ids == i, logits[:, i] - np.log(np.exp(np.delete(logits, i, 1)).sum(1)))
        for i in range(CLASSES)
        if 0 < np.count_nonzero(ids == i) < len(ids)
    ]
    assert found.pop("auc") == pytest.approx(np.mean(areas) if areas else np.nan, abs=0.1, nan_ok=True)
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_area_under_the_curve_is_that_of_scikit_learn_but_for_the_bins() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, CLASSES, 2000)
    logits = rng.normal(size=(2000, CLASSES)) + np.eye(CLASSES)[ids]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = sk.roc_auc_score(ids, probabilities, multi_class="ovr", average="macro")
    assert scores(ids, logits)["auc"] == pytest.approx(expected, abs=2e-3)


def test_the_cross_entropy_is_no_loss_of_the_users() -> None:
    batch, logits = {"label_id": tf.constant([0, 1])}, tf.constant([[2.0, 0.0], [1.0, 0.0]])
    own = Objective(own=lambda logits, labels: tf.cast(labels, tf.float32) * 10.0)
    found = head.scores(head.score_sums(logits, batch, tf.ones(2), own).numpy())
    assert found["loss"] == 5.0
    assert found["cross_entropy"] == pytest.approx((np.log1p(np.exp(-2.0)) + np.log1p(np.exp(1.0))) / 2)


def test_a_model_that_is_quite_sure_has_scores() -> None:
    found = scores(np.array([0, 1, 2]), 100.0 * np.eye(CLASSES)[[0, 1, 3]])
    # Of the classes that occur, 2 is answered last, with ties.
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert np.isfinite(found["auc"])


def test_of_equal_probabilities_the_first_is_the_answer() -> None:
    found = scores(np.array([0, 3, 5]), np.zeros([3, CLASSES]))
    assert [found[name] for name in ("accuracy", "top_3_accuracy", "top_5_accuracy")] == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3]
    )


@pytest.mark.parametrize(
    ("label", "hits"),
    [([b"2"], [1, 0, 1]), ([2], [1, 0, 1]), (2, [1, 0, 1]), ([b"x"], [1, 0, 0]), (None, [1, 0, 0])],
)
def test_integer_labels_are_ids_and_other_labels_are_no_hit(label, hits) -> None:
    names = np.array([b"0", b"1", b"2", b"3", b"4", b"5"], object)
    outputs = {"all_classes": names, "probabilities": np.array([0.2, 0.2, 0.1, 0.2, 0.2, 0.1], np.float32)}
    assert evaluation.sums(evaluation.row(label, outputs)).tolist() == hits
