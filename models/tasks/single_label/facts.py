"""Facts about single-label classification that need no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import GateRefused, UsageError
from models.features import PROBABILITIES
from models.tasks.label_domain import LabelDomain
from models.tasks.metric import BY_TASK, Metric

# The label is among this many of the most probable classes.
TOP: Mapping[str, int] = {"top_3_accuracy": 3, "top_5_accuracy": 5}

METRICS: Mapping[str, Metric] = {
    "accuracy": Metric("accuracy", "Accuracy"),
    "macro_f1": Metric("macro F1", "MacroF1", over_classes=True),
    "macro_precision": Metric("macro precision", "MacroPrecision", over_classes=True),
    "macro_recall": Metric("macro recall", "MacroRecall", over_classes=True),
    "micro_f1": Metric("micro F1", "Accuracy"),  # equal if each row has one label
    "mcc": Metric("Matthews correlation", "MatthewsCorrelation", lowest=-1.0, over_classes=True),
    **{name: Metric(f"top-{count} accuracy", BY_TASK) for name, count in TOP.items()},
    "cross_entropy": Metric(
        "cross-entropy", "tfma.SparseCategoricalCrossentropy", highest=math.inf, lower_is_better=True
    ),
    "auc": Metric("AUC", "tfma.AUC", over_classes=True, one_against_rest=True),
    "example_count": Metric("rows", "tfma.ExampleCount", highest=math.inf, counts_rows=True),
}
DEFAULT_METRICS = ("accuracy", "macro_f1", "cross_entropy")
REPORTED = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "example_count")
PER_CLASS: Mapping[str, str] = {"precision": "macro_precision", "recall": "macro_recall", "f1": "macro_f1"}
SLICE_METRICS = ("accuracy", "macro_f1", "example_count")
RANKS_SLICES = "accuracy"

SCORES: Mapping[str, Metric] = {
    "accuracy": Metric("accuracy"),
    "macro_f1": Metric("macro F1"),
    "macro_precision": Metric("macro precision"),
    "macro_recall": Metric("macro recall"),
    "mcc": Metric("Matthews correlation", lowest=-1.0),
    **{name: Metric(f"top-{count} accuracy") for name, count in TOP.items()},
    "micro_f1": Metric("micro F1"),
    "cross_entropy": Metric("cross-entropy", highest=math.inf, lower_is_better=True),
    "auc": Metric("AUC"),
    "loss": Metric("loss", highest=math.inf, lower_is_better=True),
}
BEST_METRIC = "accuracy"
LOSSES = ("cross_entropy",)
TRAIN_KEYS = ("class_weights", "label_smoothing_factor")
LOSS_KEYS = ("label_smoothing_factor",)
OWN_PARTS = ("transform.text", "model.head", "train.loss", "train.metrics")

EXPORT_METRICS = ("accuracy", "macro_f1")

LABEL_KINDS = ("bytes", "int64")
OF_WORDS = False
ANSWER = PROBABILITIES
PREDICTED = (ANSWER,)

PROBLEM_TYPE = "single_label_classification"
HUB_TAG = "text-classification"


def as_label(value: bytes | int) -> str | bytes:
    """The label as in the label list: `b"DESC" -> "DESC"`, `3 -> "3"`; bytes if not UTF-8."""
    if isinstance(value, int):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def label_fault(values: Sequence[Any], domain: LabelDomain) -> tuple[str, Any]:
    """`[b"HUM"] -> ("", None)`, `[b"HAM"] -> ("unknown_label", "HAM")`, `[b"HUM", b"LOC"] -> ("wrong_type", ...)`."""
    if not values:
        return "missing_column", None
    if len(values) > 1:
        return "wrong_type", list(values[:2])
    label = as_label(values[0])
    return ("", None) if label in domain.labels else ("unknown_label", label)


def label_text(values: Sequence[Any]) -> str:
    """The label of a row as text: `[b"DESC"] -> "DESC"`, `[3] -> "3"`, `[] -> ""`."""
    label = as_label(values[0]) if values else ""
    return label.decode(errors="replace") if isinstance(label, bytes) else label


def check_labels(labels: Sequence[str], label_list: Path) -> None:
    """Raises UsageError for a list of fewer than two labels."""
    if len(labels) < 2:
        raise UsageError(f"{label_list}: {len(labels)} label(s); a classifier needs at least two")


def check_integer_labels(labels: Sequence[str], label_list: Path, column: str) -> None:
    """Checks that integer labels are the label ids, because TFMA uses them as columns of the probabilities.

    Args:
        labels: the label list.
        label_list: its file.
        column: raw column of the label.

    Raises:
        GateRefused: the label list is not 0, 1, 2 ...
    """
    if list(labels) != [str(number) for number in range(len(labels))]:
        raise GateRefused(
            f"{label_list}: integer labels must be 0, 1, 2 ... in this order, got {', '.join(labels[:5])}; write "
            f"the column {column!r} as text (`runner_local.py import` does), or number the labels from 0"
        )


def card_summary(labels: Sequence[str]) -> str:
    """The summary for the model card: `["a", "b"] -> "A text classifier for 2 labels: a, b."`."""
    return f"A text classifier for {len(labels)} labels: {', '.join(labels)}."
