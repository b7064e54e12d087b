"""Loss, scores and metrics of regression, compared with scikit-learn's and SciPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from models.tasks.label_domain import LabelDomain
from models.tasks.objective import Objective
from models.tasks.regression import evaluation, head
from models.tasks.regression.facts import label_fault


def measured(targets: np.ndarray, values: np.ndarray) -> dict[str, float]:
    rows = [
        evaluation.row(np.array([t], np.float32), {"value": np.float32(v)})
        for t, v in zip(targets, values, strict=True)
    ]
    stacked = [np.stack(arrays) for arrays in zip(*rows, strict=True)]
    return {name: evaluation.from_rows(name, stacked)[None] for name in evaluation.NEEDS_ROWS}


def test_values_by_hand():
    assert measured(np.array([1.0, 2.0, 3.0, 6.0]), np.array([1.0, 3.0, 2.0, 6.0])) == pytest.approx(
        {
            "rmse": math.sqrt(0.5),
            "mae": 0.5,
            "r2": 1 - 2 / 14,
            "pearson": 13 / 14,
            "spearman": 0.8,
        }
    )


numbers = st.lists(st.tuples(st.integers(-20, 20), st.floats(-1e4, 1e4, width=32)), min_size=3, max_size=40)


@settings(max_examples=100, deadline=None)
@given(numbers)
def test_every_metric_equals_that_of_scikit_learn_or_scipy(pairs):
    targets, values = np.array(pairs, np.float32).T
    computed = measured(targets, values)
    t, v = targets.astype(np.float64), values.astype(np.float64)
    assert computed["rmse"] == pytest.approx(sk.root_mean_squared_error(t, v))
    assert computed["mae"] == pytest.approx(sk.mean_absolute_error(t, v))
    if len(set(t)) > 1:
        assert computed["r2"] == pytest.approx(sk.r2_score(t, v))
    if len(set(t)) > 1 and np.ptp(v) > 1e-3:
        assert computed["pearson"] == pytest.approx(stats.pearsonr(t, v).statistic, abs=1e-9)
        assert computed["spearman"] == pytest.approx(stats.spearmanr(t, v).statistic, abs=1e-9)


def test_correlation_of_equal_targets_is_unknown():
    computed = measured(np.array([2.0, 2.0]), np.array([1.0, 3.0]))
    assert [math.isnan(computed[name]) for name in ("r2", "pearson", "spearman")] == [True] * 3


def test_a_row_without_a_target_does_not_count():
    rows = [evaluation.row(None, {"value": np.float32(1)}), evaluation.row([3.0], {"value": np.float32(5)})]
    stacked = [np.stack(arrays) for arrays in zip(*rows, strict=True)]
    assert evaluation.from_rows("mae", stacked) == {None: 2.0}


def test_targets_are_standardized_in_the_loss_and_answers_are_in_their_units():
    constants = head.constants([4.0, 40.0, 500.0], 4)  # rows, sum, sum of squares
    assert constants == {"mean": [10.0], "deviation": [5.0]}
    batch, logits = {"target": tf.constant([20.0, 10.0])}, tf.constant([[0.5], [0.2]])
    for loss, expected in {"mse": [2.25, 0.04], "mae": [1.5, 0.2], "huber": [1.0, 0.02]}.items():
        losses = head.row_losses(logits, batch, Objective(loss, constants=constants))
        assert losses.numpy() == pytest.approx(expected)
    outputs = head.served_outputs(logits, tf.constant(["stars"]), constants)
    assert outputs["value"].numpy() == pytest.approx([12.5, 11.0])
    assert outputs["name"].numpy().tolist() == [b"stars", b"stars"]


def test_the_deviation_of_equal_targets_is_1():
    assert head.constants([3.0, 0.3, 0.03], 3) == {"mean": [0.09999999999999999], "deviation": [1.0]}


def test_scores_of_training_equal_those_of_the_evaluator():
    rng = np.random.default_rng(0)
    targets = (rng.normal(50, 20, 400)).astype(np.float32)
    objective = Objective("mse", constants=head.constants([400, targets.sum(), (targets**2).sum()], 400))
    mean, deviation = (objective.constants[name][0] for name in ("mean", "deviation"))
    logits = ((targets - mean) / deviation * 0.7 + rng.normal(0, 0.5, 400)).astype(np.float32)[:, None]
    sums = head.score_sums(tf.constant(logits), {"target": tf.constant(targets)}, tf.ones(400), objective)
    scores = head.scores(sums.numpy().astype(np.float64), objective)
    values = head.served_outputs(tf.constant(logits), tf.constant(["x"]), objective.constants)[
        "value"
    ].numpy()
    expected = measured(targets, values)
    for name in ("rmse", "mae", "r2", "pearson"):
        assert scores[name] == pytest.approx(expected[name], rel=1e-4), name
    assert scores["spearman"] == pytest.approx(expected["spearman"], abs=0.002)  # from bins


def test_targets_that_cannot_be_are_named_by_their_rule():
    domain = LabelDomain(lowest=1.0, highest=10.0)
    assert label_fault([10.0], domain) == ("", None)
    assert label_fault([10.5], domain) == ("out_of_bounds", "10.5")
    assert label_fault([math.nan], domain) == ("not_finite", "nan")
    assert label_fault([math.inf], LabelDomain()) == ("not_finite", "inf")
    assert label_fault([], domain) == ("missing_column", None)
    assert label_fault([1.0, 2.0], domain) == ("wrong_type", [1.0, 2.0])
