"""The template of a metric."""

from __future__ import annotations

import numpy as np
import pytest

from components.own_parts.metric_trial import try_metric
from own_parts import metrics
from own_parts.metrics import ExpectedCost

LABELS = ["ham", "spam"]
OUTPUTS = {"probabilities": np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], np.float32)}


def cost(targets: list[int]) -> float:
    metric = ExpectedCost(LABELS)
    return metric.value(metric.sums(np.array(targets), OUTPUTS))


def test_right_answers_cost_nothing_and_wrong_ones_what_the_table_says(monkeypatch):
    assert cost([0, 1, 0, 1]) == 0.0
    assert cost([0, 1, 1, 0]) == 0.5
    monkeypatch.setattr(metrics, "COSTS", {("ham", "spam"): 10.0})
    assert cost([0, 1, 1, 0]) == pytest.approx((1.0 + 10.0) / 4)
    assert cost([0, 1, 0, -1]) == 0.25  # a label outside of the list


def test_an_answer_that_is_not_sure_costs_a_person(monkeypatch):
    monkeypatch.setattr(metrics, "UNSURE_BELOW", 0.65)
    assert cost([0, 1, 1, 1]) == pytest.approx(0.2 / 4)


def test_it_keeps_the_contract():
    try_metric(ExpectedCost, "own_parts.metrics.ExpectedCost", {"task": "single_label", "labels": LABELS})
