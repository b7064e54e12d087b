"""A metric that breaks its contract is refused with one line, before anything runs."""

from __future__ import annotations

import pytest

from components.own_parts.trial import trial
from tests.support.own_package import write_own_parts

SOURCE = '''\
import numpy as np

class Rows:
    title = "rows"
    highest = 1e9
    def __init__(self, labels):
        self.labels = labels
    def sums(self, targets, outputs):
        return np.array([len(targets)])
    def value(self, sums):
        return float(sums[0])

class Small(Rows):
    highest = 2.0

class Untitled(Rows):
    title = ""

class Worded(Rows):
    highest = "10"

class Reversed(Rows):
    lowest, highest = 1.0, 0.0

class Mean(Rows):
    def sums(self, targets, outputs):
        return np.array([np.mean(targets)])

class Scalar(Rows):
    def sums(self, targets, outputs):
        return len(targets)

class Listed(Rows):
    def value(self, sums):
        return list(sums)

class Misspelt(Rows):
    def sums(self, targets, outputs):
        return np.array([outputs["probability"].sum()])

class WithoutLabels(Rows):
    def __init__(self):
        pass

class Half:
    title = "half"
    def __init__(self, labels):
        pass
    def sums(self, targets, outputs):
        return np.zeros(1)

class WithLabels(Rows):
    """Of several labels: how many rows have any."""
    def sums(self, targets, outputs):
        return np.array([sum(len(ids) > 0 for ids in targets), len(targets)])
    def value(self, sums):
        return sums[0] / sums[1]

class LargestError(Rows):
    """Of numbers."""
    def sums(self, targets, outputs):
        return np.array([np.abs(targets - outputs["value"]).sum()])
'''


def tried(name: str, task: str = "single_label") -> str:
    labels = ["a"] if task == "regression" else ["a", "b", "c"]
    parts = [("evaluate", "train.metrics", f"own_parts.mine.{name}")]
    return trial({"parts": parts, "task": task, "labels": labels})


@pytest.fixture(autouse=True)
def _package(tmp_path, monkeypatch):
    write_own_parts(tmp_path, {"mine": SOURCE}, monkeypatch)


@pytest.mark.parametrize(
    ("name", "task"),
    [("Rows", "single_label"), ("WithLabels", "multi_label"), ("LargestError", "regression")],
)
def test_it_gets_labels_as_numbers_and_the_served_outputs_of_the_task(name, task):
    assert tried(name, task) == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "Small",
            " has the value 6 for random answers, which is not in its range [0, 2]: correct lowest and highest",
        ),
        ("Untitled", ": the class must have the attribute title, the metric's name in charts, got ''"),
        ("Worded", ": highest must be a number, got '10'"),
        ("Reversed", ": lowest must be less than highest, got 1.0 and 0.0"),
        (
            "Mean",
            " has the sums [1.0] of 6 rows, and [6.0] if they are computed row by row and added: they must be the same",
        ),
        ("Scalar", " must return sums of the shape [k], returns []"),
        ("Listed", " must have a number as value, returns list"),
        ("Misspelt", " raises KeyError: 'probability' (own_parts/mine.py:"),
        ("WithoutLabels", " must take 1 argument (labels): too many positional arguments"),
        ("Half", " must have the method value"),
    ],
)
def test_a_metric_that_cannot_be_computed_is_refused(name, reason):
    said = tried(name)
    assert said.startswith(f"evaluate: own_parts.mine.{name}{reason}")
    assert len(said.splitlines()) == 1
