"""What is known of the task without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import UsageError
from models.tasks.label_domain import LabelDomain
from models.tasks.metric import Metric

METRICS: Mapping[str, Metric] = {
    "squared_error": Metric("squared error", "tfma.MeanSquaredError", highest=math.inf, lower_is_better=True),
    "example_count": Metric("rows", "tfma.ExampleCount", highest=math.inf, counts_rows=True),
}
DEFAULT_METRICS = ("squared_error",)
REPORTED = ("squared_error", "example_count")
PER_CLASS: Mapping[str, str] = {}
SLICE_METRICS = ("squared_error", "example_count")
RANKS_SLICES = "squared_error"

SCORES: Mapping[str, Metric] = {"loss": Metric("loss", highest=math.inf, lower_is_better=True)}
BEST_METRIC = "loss"
LOSSES = ("squared_error",)
TRAIN_KEYS = ()
LOSS_KEYS = TRAIN_KEYS
OWN_PARTS: Sequence[str] = ()

EXPORT_METRICS = ()

LABEL_KINDS = ("float",)
OF_WORDS = False
ANSWER = "score"
PREDICTED = (ANSWER,)

PROBLEM_TYPE = "regression"
HUB_TAG = "text-classification"


def as_label(value: Any) -> str:
    """`0.5 -> "0.5"`."""
    return f"{value:g}"


def label_text(values: Sequence[Any]) -> str:
    """`[0.5] -> "0.5"`."""
    return as_label(values[0]) if values else ""


def label_fault(values: Sequence[Any], domain: LabelDomain) -> tuple[str, Any]:
    """`[math.nan] -> ("not_finite", "nan")`."""
    del domain
    if len(values) != 1:
        return "wrong_type", None
    return ("", None) if math.isfinite(values[0]) else ("not_finite", as_label(values[0]))


def check_labels(labels: Sequence[str], label_list: Path) -> None:
    """Raises UsageError unless the list names one score."""
    if len(labels) != 1:
        raise UsageError(f"{label_list}: {len(labels)} labels; it names the score, in one line")


def card_summary(labels: Sequence[str]) -> str:
    """`["stars"] -> "Predicts stars."`."""
    return f"Predicts {labels[0]}."
