"""The Evaluator's metrics of multi-label answers, compared with scikit-learn's on the same answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from models.tasks.multi_label import evaluation
from models.tasks.multi_label.facts import METRICS
from models.tasks.task import TASKS, Task

LABELS = [b"a", b"b", b"c"]
# Labels of a row, the labels that it is answered with, and scores.
ROWS = [
    ([b"a"], [b"a"], [0.9, 0.2, 0.1]),
    ([b"a", b"b"], [b"b"], [0.4, 0.8, 0.1]),
    ([b"b"], [b"a", b"b"], [0.7, 0.6, 0.1]),
    ([], [], [0.2, 0.3, 0.1]),
]


def measured(rows: list, labels: list[bytes]) -> dict[str, dict[int | None, float]]:
    """Each metric of the task, as the Evaluator computes it."""
    read = [
        evaluation.row(
            np.array(right, object) if right else None,
            {
                "all_classes": np.array(labels, object),
                "labels": np.array([*given, *[b""] * (len(labels) - len(given))], object),
                "probabilities": np.array(scores, np.float32),
            },
        )
        for right, given, scores in rows
    ]
    sums = np.sum([evaluation.sums(row) for row in read], axis=0)
    stacked = [np.stack(arrays) for arrays in zip(*read, strict=True)]
    return {
        name: evaluation.from_rows(name, stacked)
        if name in evaluation.NEEDS_ROWS
        else evaluation.from_sums(name, sums)
        for name in METRICS
        if name != "example_count"
    }


def test_values_by_hand():
    values = {name: value[None] for name, value in measured(ROWS, LABELS).items()}
    assert values == pytest.approx(
        {
            # 3 decisions are right of 4 answers and 4 labels.
            "micro_f1": 0.75,
            # a: 1 of 2 answers, 1 of 2 labels; b: 2 of 2 and 2 of 2; c does not occur.
            "macro_f1": 0.75,
            "macro_precision": 0.75,
            "macro_recall": 0.75,
            "sample_f1": (1 + 2 / 3 + 2 / 3 + 1) / 4,
            "subset_accuracy": 0.5,
            "binary_cross_entropy": -np.log(
                [0.9, 0.8, 0.9, 0.4, 0.8, 0.9, 0.3, 0.6, 0.9, 0.8, 0.7, 0.9]
            ).mean(),
            # a: 3 of 4 pairs are in order; b: all.
            "auc": 0.875,
            "mean_average_precision": (1 / 2 + 1 / 2 * 2 / 3 + 1) / 2,
        },
        rel=1e-6,
    )


def test_values_by_label_are_of_the_labels_that_occur():
    values = measured(ROWS, LABELS)
    assert {i: v for i, v in values["macro_f1"].items() if i is not None} == {0: 0.5, 1: 1.0}
    assert {i: v for i, v in values["auc"].items() if i is not None} == {0: 0.75, 1: 1.0}


@settings(max_examples=60, deadline=None)
@given(
    has=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=30),
    seed=st.integers(0, 2**31),
)
def test_every_metric_equals_that_of_scikit_learn(has, seed):
    rng, labels = np.random.default_rng(seed), [b"a", b"b", b"c", b"d"]
    right = np.array(has)
    # Few distinct scores, so that there are ties.
    scores = (rng.integers(0, 8, right.shape) / 8 + 1 / 16).astype(np.float32)
    given_ = scores >= np.array([0.3, 0.5, 0.6, 0.9])
    names = np.array(labels, object)
    rows = [(list(names[r]), list(names[g]), s) for r, g, s in zip(right, given_, scores, strict=True)]
    values = {name: value[None] for name, value in measured(rows, labels).items()}
    occurring = np.flatnonzero((right | given_).any(0))
    both = np.flatnonzero(right.any(0) & ~right.all(0))
    expected = {
        "subset_accuracy": sk.accuracy_score(right, given_),
        "sample_f1": sk.f1_score(right, given_, average="samples", zero_division=1.0),
        "binary_cross_entropy": -np.log(np.where(right, scores, 1.0 - scores)).mean(),
        "micro_f1": sk.f1_score(right, given_, average="micro", zero_division=np.nan),
        "auc": np.mean([sk.roc_auc_score(right[:, i], scores[:, i]) for i in both]) if both.size else np.nan,
        "mean_average_precision": sk.average_precision_score(right[:, right.any(0)], scores[:, right.any(0)])
        if right.any()
        else np.nan,
    }
    for name, function in (
        ("macro_f1", sk.f1_score),
        ("macro_precision", sk.precision_score),
        ("macro_recall", sk.recall_score),
    ):
        expected[name] = (
            function(right, given_, labels=occurring, average="macro", zero_division=0.0)
            if occurring.size
            else np.nan
        )
    assert values == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_a_thousand_labels_are_added_up_in_seconds():
    rng = np.random.default_rng(0)
    labels = [f"l{i}".encode() for i in range(1000)]
    rows = [([labels[i]], [labels[i], labels[i - 1]], rng.random(1000)) for i in rng.integers(0, 1000, 300)]
    values = measured(rows, labels)
    assert values["micro_f1"][None] == pytest.approx(2 / 3)
    assert len(values["macro_f1"]) > 300
    # The sums do not grow with rows.
    assert evaluation.sums(evaluation.row(None, _outputs(labels))).shape == (4 + 3 * 1000,)


def _outputs(labels: list[bytes]) -> dict[str, np.ndarray]:
    empty = np.array([b""] * len(labels), object)
    return {
        "all_classes": np.array(labels, object),
        "labels": empty,
        "probabilities": np.zeros(len(labels), np.float32),
    }


def test_the_task_names_its_modules_for_the_fingerprint():
    assert TASKS["multi_label"].evaluation_modules() == (
        "models.tasks.multi_label.facts",
        "models.tasks.multi_label.evaluation",
    )
    assert Task("toy", "tests.support.toy_task").evaluation_modules() == ("tests.support.toy_task.facts",)
