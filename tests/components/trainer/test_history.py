"""Which weights are kept, and the message about them."""

from __future__ import annotations

import math

import pytest

from components.trainer.history import History, history_of, rank, read_history, why_kept, write_history


@pytest.mark.parametrize(
    ("metric", "worse", "better"),
    [
        ("accuracy", (0.9, 0.1), (1.0, 0.9)),
        ("accuracy", (1.0, 0.84), (1.0, 0.36)),
        ("accuracy", (1.0, math.nan), (1.0, 0.9)),
        ("accuracy", (math.nan, 0.1), (0.0, math.nan)),
        ("loss", (1.0, 0.6), (0.0, 0.5)),
        ("loss", (0.9, 0.5), (1.0, 0.5)),
        ("loss", (0.9, math.nan), (0.1, 9.0)),
    ],
)
def test_equal_scores_are_ranked_by_the_other_one_and_what_is_no_number_is_last(metric, worse, better):
    one, other = (dict(zip(("accuracy", "loss"), scores, strict=True)) for scores in (worse, better))
    assert rank(one, metric) < rank(other, metric)
    assert not rank(other, metric) > rank(dict(other), metric)  # of equals the first stays


def history(metric: str, scores: list[tuple[float, float]], best: int) -> History:
    evaluations = [
        {"step": 10.0 * n, "epoch": float(n), "accuracy": accuracy, "loss": loss}
        for n, (accuracy, loss) in enumerate(scores, start=1)
    ]
    return History(evaluations=evaluations, best=evaluations[best - 1], best_metric=metric)


@pytest.mark.parametrize(
    ("metric", "scores", "best", "told"),
    [
        (
            "accuracy",
            [(0.8, 0.5), (0.9, 0.6)],
            2,
            "the model has the weights of epoch 2: highest eval accuracy, 0.9000",
        ),
        (
            "loss",
            [(0.8, 0.5), (0.9, 0.6)],
            1,
            "the model has the weights of epoch 1: lowest eval loss, 0.5000",
        ),
        (
            "accuracy",
            [(1.0, 0.84), (1.0, 0.36), (1.0, 0.25)],
            3,
            "the model has the weights of epoch 3: eval accuracy 1.0000, as in epochs 1 and 2, and of these "
            "the lowest eval loss, 0.2500",
        ),
        (
            "loss",
            [(0.9, 0.5), (0.8, 0.5)],
            1,
            "the model has the weights of epoch 1: eval loss 0.5000, as in epoch 2, and of these the highest "
            "eval accuracy, 0.9000",
        ),
    ],
)
def test_kept_epoch_is_named_with_its_reason(metric, scores, best, told):
    assert why_kept(history(metric, scores, best)) == told


def test_training_that_was_never_evaluated_names_no_epoch():
    assert why_kept(History()) == ""


def test_history_reads_back_as_it_was_written(tmp_path):
    written = history("loss", [(0.8, 0.5), (0.9, 0.6)], 1)
    write_history(written, tmp_path)
    assert read_history(tmp_path) == written


def test_history_of_another_release_is_read():
    """Without the key `best_metric`, which was added later, and with an unknown key."""
    read = history_of({"step": 3, "best": {"accuracy": 1.0}, "later": 1})
    assert (read.step, read.best, read.best_metric) == (3, {"accuracy": 1.0}, "accuracy")
