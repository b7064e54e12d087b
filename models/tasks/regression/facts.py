"""Facts about regression that need no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import UsageError
from models.features import VALUE
from models.tasks.label_domain import LabelDomain
from models.tasks.metric import BY_TASK, Metric

METRICS: Mapping[str, Metric] = {
    "rmse": Metric("RMSE", BY_TASK, highest=math.inf, lower_is_better=True),
    "mae": Metric("MAE", BY_TASK, highest=math.inf, lower_is_better=True),
    "r2": Metric("R²", BY_TASK, lowest=-math.inf),
    "pearson": Metric("Pearson correlation", BY_TASK, lowest=-1.0),
    "spearman": Metric("Spearman correlation", BY_TASK, lowest=-1.0),
    "example_count": Metric("rows", "tfma.ExampleCount", highest=math.inf, counts_rows=True),
}
DEFAULT_METRICS = ("rmse", "mae", "r2", "pearson", "spearman")
REPORTED = ("rmse", "mae", "r2", "example_count")
PER_CLASS: Mapping[str, str] = {}
SLICE_METRICS = ("rmse", "mae", "r2", "example_count")
RANKS_SLICES = "rmse"

SCORES: Mapping[str, Metric] = {
    "rmse": Metric("RMSE", highest=math.inf, lower_is_better=True),
    "mae": Metric("MAE", highest=math.inf, lower_is_better=True),
    "r2": Metric("R²", lowest=-math.inf),
    "pearson": Metric("Pearson correlation", lowest=-1.0),
    "spearman": Metric("Spearman correlation", lowest=-1.0),
    "loss": Metric("loss", highest=math.inf, lower_is_better=True),
}
BEST_METRIC = "rmse"
LOSSES = ("mse", "mae", "huber")
TRAIN_KEYS: Sequence[str] = ()
LOSS_KEYS = TRAIN_KEYS
OWN_PARTS = ("transform.text", "model.head", "train.loss", "train.metrics")

EXPORT_METRICS = ("r2", "pearson", "spearman")  # in all units at most 1

LABEL_KINDS = ("float", "int64")
OF_WORDS = False
ANSWER = VALUE
PREDICTED = (ANSWER,)

PROBLEM_TYPE = "regression"
HUB_TAG = "text-classification"


def as_label(value: float) -> str:
    """`3.0 -> "3"`, `0.25 -> "0.25"`."""
    return f"{value:.6g}"


def label_fault(values: Sequence[Any], domain: LabelDomain) -> tuple[str, Any]:
    """`[nan] -> ("not_finite", "nan")`, `[11.0]` above `highest` 10 `-> ("out_of_bounds", "11")`."""
    if not values:
        return "missing_column", None
    if len(values) > 1:
        return "wrong_type", list(values[:2])
    value = float(values[0])
    if not math.isfinite(value):
        return "not_finite", as_label(value)
    return ("", None) if domain.lowest <= value <= domain.highest else ("out_of_bounds", as_label(value))


def label_text(values: Sequence[Any]) -> str:
    """The number of a row as text: `[0.5] -> "0.5"`, `[] -> ""`."""
    return as_label(values[0]) if values else ""


def check_labels(labels: Sequence[str], label_list: Path) -> None:
    """Raises UsageError for a list that does not have exactly one line, the name of the predicted number."""
    if len(labels) != 1:
        raise UsageError(
            f"{label_list}: {len(labels)} lines; for regression it has one, the name of the predicted number"
        )


def check_integer_labels(labels: Sequence[str], label_list: Path, column: str) -> None:
    """Integers are numbers, too."""
    del labels, label_list, column


def card_summary(labels: Sequence[str]) -> str:
    """`["stars"] -> "Predicts the number stars of a text. ..."`."""
    return f"Predicts the number {labels[0]} of a text. The number is logit * deviation + mean, with the values of answer.json."
