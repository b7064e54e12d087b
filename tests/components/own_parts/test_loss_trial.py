"""A loss that breaks its contract is refused with one line, before anything runs."""

from __future__ import annotations

import pytest

from components.own_parts.trial import trial
from tests.support.own_package import write_own_parts

SOURCE = """\
import numpy as np
import tensorflow as tf

def cross_entropy(logits, targets):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)

def brier(logits, targets):
    return tf.reduce_sum((tf.sigmoid(logits) - targets) ** 2, -1)

def log_cosh(predicted, targets):
    return tf.math.log(tf.cosh(predicted - targets))

def mean(logits, targets):
    return tf.reduce_mean(cross_entropy(logits, targets))

def against_the_batch(logits, targets):
    losses = cross_entropy(logits, targets)
    return losses / tf.reduce_sum(losses)

def naive(logits, targets):
    p = tf.gather(tf.nn.softmax(logits), targets, batch_dims=1)
    return -tf.math.log(p - 1e-12)

def decisions(logits, targets):
    return tf.cast(tf.argmax(logits, -1, tf.int32) != targets, tf.float32)

def flat(logits, targets):
    return cross_entropy(logits * 0.0, targets)

def of_numpy(logits, targets):
    return tf.numpy_function(lambda x: np.float32(x.sum(-1)), [logits], tf.float32)

def noisy(logits, targets):
    return cross_entropy(logits + tf.random.normal(tf.shape(logits)), targets)

def by_label(logits, targets):
    return logits * tf.one_hot(targets, logits.shape[-1])
"""


def tried(name: str, task: str = "single_label") -> str:
    labels = ["a"] if task == "regression" else ["a", "b", "c"]
    return trial(
        {"parts": [("train.loss", "train.loss", f"own_parts.mine.{name}")], "task": task, "labels": labels}
    )


@pytest.fixture(autouse=True)
def _package(tmp_path, monkeypatch):
    write_own_parts(tmp_path, {"mine": SOURCE}, monkeypatch)


@pytest.mark.parametrize(
    ("name", "task"),
    [("cross_entropy", "single_label"), ("brier", "multi_label"), ("log_cosh", "regression")],
)
def test_it_gets_what_the_task_predicts_and_its_labels_in_one_form(name, task):
    assert tried(name, task) == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mean", "must return float32 [rows], returns float32 ()"),
        ("by_label", "must return float32 [rows], returns float32 (None, 3)"),
        ("against_the_batch", "gives a row 1 alone and 0."),
        ("naive", "gives ["),
        ("decisions", "does not depend on the logits by ops that have a gradient"),
        ("flat", "has a gradient of 0 everywhere: nothing would be learned"),
        ("of_numpy", "runs Python in the graph (PyFunc, of tf.py_function or tf.numpy_function)"),
        ("noisy", "uses the op RandomStandardNormal, which keeps a state or draws random numbers"),
        ("brier", "raises "),
    ],
)
def test_a_loss_that_cannot_be_trained_with_is_refused(name, reason):
    said = tried(name)
    assert said.startswith(f"train.loss: own_parts.mine.{name} {reason}")
    assert len(said.splitlines()) == 1
