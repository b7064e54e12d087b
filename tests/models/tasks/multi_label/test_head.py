"""Loss, thresholds and answers of a multi-label head."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sk

from models.tasks.multi_label import head, labels, thresholds
from models.tasks.objective import Objective

NONE = -1


def batch(*rows: list[int]) -> dict[str, tf.Tensor]:
    most = max(len(row) for row in rows)
    return {
        "label_ids": tf.constant(
            [[*row, *[NONE] * (most - len(row))] for row in rows], tf.int32, [len(rows), most]
        )
    }


def sums(logits: np.ndarray, *rows: list[int]) -> np.ndarray:
    return head.score_sums(tf.constant(logits), batch(*rows), tf.ones(len(rows))).numpy().astype(np.float64)


def test_loss_is_the_mean_cross_entropy_of_the_labels_decisions():
    logits = tf.constant([[2.0, -1.0]])
    losses = np.log1p(np.exp([-2.0, -1.0]))  # label 0 applies, label 1 does not
    assert head.row_losses(logits, batch([0])).numpy() == pytest.approx([losses.mean()])
    weighted = head.row_losses(logits, batch([0]), Objective(label_weights=(3.0, 1.0)))
    assert weighted.numpy() == pytest.approx([(3 * losses[0] + losses[1]) / 4])
    smooth = head.row_losses(logits, batch([0]), Objective(smoothing=0.2))
    assert smooth.numpy() == pytest.approx([(losses + 0.1 * np.array([2.0, 1.0])).mean()])


def test_logits_begin_at_the_log_odds_of_the_train_split() -> None:
    constants = head.constants([1, 7], 8)
    assert constants == {"offsets": pytest.approx([np.log(2 / 8), np.log(8 / 2)])}
    objective, logits = Objective(constants=constants), tf.zeros([1, 2])
    served = head.served_outputs(logits, tf.constant(["a", "b"]), constants)
    assert served["probabilities"].numpy() == pytest.approx(np.array([[0.2, 0.8]]))
    assert served["labels"].numpy().tolist() == [[b"b", b""]]
    assert head.row_losses(logits, batch([1]), objective).numpy() == pytest.approx([-np.log(0.8)])
    sums = head.score_sums(logits, batch([1]), tf.ones(1), objective).numpy()
    assert head.scores(sums)["loss"] == pytest.approx(-np.log(0.8))
    assert head.scores(sums)["subset_accuracy"] == 1.0


def test_a_label_that_a_row_has_twice_counts_once():
    rows = {"label_ids": tf.ragged.constant([[1, 1], [0, 1], [1, 1, 1], []], tf.int64)}
    assert labels.counts(rows, "shard", 2).tolist() == [1, 3]


def test_rows_without_labels_have_a_loss():
    losses = head.row_losses(tf.constant([[0.0, 0.0], [0.0, 0.0]]), batch([], []))
    assert losses.numpy() == pytest.approx([np.log(2)] * 2)


def test_each_label_gets_the_threshold_with_the_highest_f1():
    # Label 0 is found from a logit of -2 on, label 1 from 1 on, label 2 has no row.
    logits = np.array([[-1.9, 0.5, -1.0], [-2.1, 1.2, -2.0], [3.0, 0.9, -5.0]], np.float32)
    given = sums(logits, [0], [1], [0])
    chosen = head.chosen(given)["thresholds"]
    assert chosen == pytest.approx([1 / (1 + np.exp(1.9375)), 1 / (1 + np.exp(-0.9375)), 0.5], rel=1e-6)
    scores = head.scores(given)
    assert (scores["micro_f1"], scores["macro_f1"]) == (1.0, 1.0)
    assert scores["subset_accuracy"] == pytest.approx(1 / 3)  # at 0.5


def test_a_label_that_the_model_does_not_find_is_not_answered_always() -> None:
    # One row of ten has the label, and nine others have a higher logit.
    logits = np.array([[-3.0], *([-2.5], [-1.0]) * 4, [-2.0]], np.float32)
    chosen = head.chosen(sums(logits, [0], *[[]] * 9))["thresholds"]
    assert chosen == [0.5]


def test_scores_of_decisions_equal_scikit_learns_at_the_chosen_thresholds():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (200, 5)).astype(np.float32)
    right = rng.random((200, 5)) < 1 / (1 + np.exp(-logits + 1))
    given = sums(logits, *[list(np.flatnonzero(row)) for row in right])
    constants = head.chosen(given)
    outputs = head.served_outputs(tf.constant(logits), tf.constant([*"abcde"]), constants)
    names = [{name.decode() for name in row if name} for row in outputs["labels"].numpy()]
    answered = np.array([[label in row for label in "abcde"] for row in names])
    scores = head.scores(given)
    assert scores["micro_f1"] == pytest.approx(sk.f1_score(right, answered, average="micro"))
    assert scores["macro_f1"] == pytest.approx(sk.f1_score(right, answered, average="macro"))
    # From bins of 1/16 of a logit.
    assert scores["auc"] == pytest.approx(sk.roc_auc_score(right, logits), abs=0.003)
    expected = sk.average_precision_score(right, logits)
    assert scores["mean_average_precision"] == pytest.approx(expected, abs=0.01)
    at_half = logits >= 0
    assert scores["subset_accuracy"] == pytest.approx(sk.accuracy_score(right, at_half))
    assert scores["sample_f1"] == pytest.approx(
        sk.f1_score(right, at_half, average="samples", zero_division=1.0), abs=1e-6
    )


def test_sums_have_the_same_size_for_any_number_of_rows():
    assert sums(np.zeros((1, 2), np.float32), [0]).shape == (5 + 2 * 2 * thresholds.BINS,)


def test_labels_are_answered_most_probable_first_and_filled_up():
    outputs = head.served_outputs(
        tf.constant([[1.0, -1.0, 2.0], [-9.0, -9.0, -9.0]]),
        tf.constant(["a", "b", "c"]),
        {"thresholds": [0.5, 0.2, 0.5]},
    )
    assert outputs["labels"].numpy().tolist() == [[b"c", b"a", b"b"], [b"", b"", b""]]
    assert outputs["all_classes"].numpy().tolist() == [[b"a", b"b", b"c"]] * 2
