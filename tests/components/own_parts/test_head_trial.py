"""A head that breaks its contract is refused with one line, before anything runs."""

from __future__ import annotations

import pytest

from components.own_parts.trial import trial
from tests.support.own_package import write_own_parts

SOURCE = """\
import numpy as np
import tensorflow as tf
import tf_keras

class First(tf.Module):
    def __init__(self, width, outputs, seed):
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal([width, outputs], [seed, 0]), name="kernel")
    def states(self, hidden, mask):
        return hidden[:, 0]
    def __call__(self, hidden, mask, dropout):
        return tf.matmul(dropout(self.states(hidden, mask), 0.1), self.kernel)

class OfKeras(tf.Module):
    def __init__(self, width, outputs, seed):
        super().__init__()
        self.layer = tf_keras.layers.Dense(outputs, kernel_initializer=tf_keras.initializers.GlorotUniform(seed))
        self.layer.build([None, width])
    def __call__(self, hidden, mask, dropout):
        return self.layer(hidden[:, 0])

class NotBuilt(OfKeras):
    def __init__(self, width, outputs, seed):
        super().__init__(width, outputs, seed)
        self.more = tf_keras.layers.Dense(outputs)
    def __call__(self, hidden, mask, dropout):
        return self.more(super().__call__(hidden, mask, dropout))

class MeanOfAll(First):
    def states(self, hidden, mask):
        return tf.reduce_mean(hidden, 1)

class Centred(First):
    def states(self, hidden, mask):
        return hidden[:, 0] - tf.reduce_mean(hidden[:, 0], 0)

class ByToken(First):
    def __call__(self, hidden, mask, dropout):
        return tf.einsum("rtw,wo->rto", hidden, self.kernel)

class Untracked:
    def __init__(self, width, outputs, seed):
        self.kernel = tf.Variable(tf.zeros([width, outputs]))
    def __call__(self, hidden, mask, dropout):
        return tf.matmul(hidden[:, 0], self.kernel)

class WithoutVariables(First):
    def __init__(self, width, outputs, seed):
        tf.Module.__init__(self)
        self.kernel = tf.ones([width, outputs])

class Unseeded(First):
    def __init__(self, width, outputs, seed):
        super().__init__(width, outputs, seed)
        self.kernel.assign(tf.random.normal([width, outputs]))

class Spare(First):
    def __init__(self, width, outputs, seed):
        super().__init__(width, outputs, seed)
        self.spare = tf.Variable([1.0], name="spare")

class Counting(First):
    def __init__(self, width, outputs, seed):
        super().__init__(width, outputs, seed)
        self.calls = tf.Variable(0.0, trainable=False)
    def __call__(self, hidden, mask, dropout):
        self.calls.assign_add(1.0)
        return super().__call__(hidden, mask, dropout)

class OfPython(First):
    def states(self, hidden, mask):
        first = tf.numpy_function(lambda h: h[:, 0], [hidden], tf.float32)
        return tf.ensure_shape(first, [None, hidden.shape[-1]])
"""


def tried(name: str) -> str:
    parts = [("model.head", "model.head", f"own_parts.mine.{name}")]
    return trial({"parts": parts, "task": "single_label", "labels": ["a", "b", "c"]})


@pytest.fixture(autouse=True)
def _package(tmp_path, monkeypatch):
    write_own_parts(tmp_path, {"mine": SOURCE}, monkeypatch)


@pytest.mark.parametrize("name", ["First", "OfKeras"])
def test_variables_of_its_own_and_layers_of_keras_pass(name):
    assert tried(name) == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("MeanOfAll", "gives a row of 3 tokens ["),
        ("Centred", "gives a row of 6 tokens ["),
        ("ByToken", "must return float32 [rows, 3], returns float32 (None, None, 3)"),
        ("Untracked", "must derive from tf.Module, by which its variables are found"),
        ("WithoutVariables", "has no trainable variable after __init__: nothing would be learned"),
        (
            "Unseeded",
            "starts kernel:0 otherwise with the same seed: draw it with `seed`, by tf.random.stateless_*",
        ),
        ("Spare", "has the variable spare:0, on which its logits do not depend"),
        ("Counting", "uses the op AssignAddVariableOp, which keeps a state or draws random numbers"),
        ("OfPython", "runs Python in the graph (PyFunc, of tf.py_function or tf.numpy_function)"),
        ("NotBuilt", "makes variables when it is called: make all of them in __init__"),
    ],
)
def test_a_head_that_cannot_be_trained_or_served_is_refused(name, reason):
    said = tried(name)
    assert said.startswith(f"model.head: own_parts.mine.{name} {reason}")
    assert len(said.splitlines()) == 1
