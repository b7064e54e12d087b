"""Facts about multi-label classification that need no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import UsageError
from models.features import PROBABILITIES
from models.tasks.label_domain import LabelDomain
from models.tasks.metric import BY_TASK, Metric

METRICS: Mapping[str, Metric] = {
    "micro_f1": Metric("micro F1", BY_TASK),
    "macro_f1": Metric("macro F1", BY_TASK, over_classes=True),
    "sample_f1": Metric("sample F1", BY_TASK),
    "macro_precision": Metric("macro precision", BY_TASK, over_classes=True),
    "macro_recall": Metric("macro recall", BY_TASK, over_classes=True),
    "subset_accuracy": Metric("subset accuracy", BY_TASK),
    "binary_cross_entropy": Metric("binary cross-entropy", BY_TASK, highest=math.inf, lower_is_better=True),
    "auc": Metric("AUC", BY_TASK, over_classes=True),
    "mean_average_precision": Metric("mean average precision", BY_TASK, over_classes=True),
    "example_count": Metric("rows", "tfma.ExampleCount", highest=math.inf, counts_rows=True),
}
DEFAULT_METRICS = ("micro_f1", "macro_f1", "binary_cross_entropy")
REPORTED = (
    "micro_f1",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "sample_f1",
    "subset_accuracy",
    "example_count",
)
PER_CLASS: Mapping[str, str] = {
    "auc": "auc",
    "precision": "macro_precision",
    "recall": "macro_recall",
    "f1": "macro_f1",
}
SLICE_METRICS = ("micro_f1", "macro_f1", "sample_f1", "example_count")
RANKS_SLICES = "micro_f1"

SCORES: Mapping[str, Metric] = {
    "micro_f1": Metric("micro F1"),
    "macro_f1": Metric("macro F1"),
    "macro_precision": Metric("macro precision"),
    "macro_recall": Metric("macro recall"),
    "auc": Metric("AUC"),
    "mean_average_precision": Metric("mean average precision"),
    "sample_f1": Metric("sample F1"),
    "subset_accuracy": Metric("subset accuracy"),
    "binary_cross_entropy": Metric("binary cross-entropy", highest=math.inf, lower_is_better=True),
    "loss": Metric("loss", highest=math.inf, lower_is_better=True),
}
BEST_METRIC = "micro_f1"
LOSSES = ("sigmoid_cross_entropy",)
TRAIN_KEYS = ("class_weights", "label_smoothing_factor")
LOSS_KEYS = TRAIN_KEYS
OWN_PARTS = ("transform.text", "model.head", "train.loss", "train.metrics")

EXPORT_METRICS = ("micro_f1", "macro_f1")

LABEL_KINDS = ("bytes",)
OF_WORDS = False
ANSWER = PROBABILITIES
PREDICTED = (ANSWER,)

PROBLEM_TYPE = "multi_label_classification"
HUB_TAG = "text-classification"


def as_label(value: bytes) -> str | bytes:
    """The label as in the label list: `b"DESC" -> "DESC"`; bytes if not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def label_fault(values: Sequence[Any], domain: LabelDomain) -> tuple[str, Any]:
    """`[b"HUM", b"LOC"] -> ("", None)`, `[b"HAM"] -> ("unknown_label", "HAM")`; a row may have no label."""
    labels = [as_label(value) for value in values]
    unknown = next((label for label in labels if label not in domain.labels), None)
    if unknown is not None:
        return "unknown_label", unknown
    return ("repeated_label", labels) if len(set(labels)) < len(labels) else ("", None)


def label_text(values: Sequence[Any]) -> str:
    """The labels of a row as text: `[b"HUM", b"LOC"] -> "HUM, LOC"`, `[] -> "(none)"`."""
    labels = (as_label(value) for value in values)
    texts = [x.decode(errors="replace") if isinstance(x, bytes) else x for x in labels]
    return ", ".join(sorted(texts)) or "(none)"


def check_labels(labels: Sequence[str], label_list: Path) -> None:
    """Raises UsageError for an empty list."""
    if not labels:
        raise UsageError(f"{label_list}: 0 labels; a multi-label classifier needs at least one")


def card_summary(labels: Sequence[str]) -> str:
    """`["a", "b"] -> "A multi-label text classifier for 2 labels: a, b. ..."`."""
    return (
        f"A multi-label text classifier for {len(labels)} labels: {', '.join(labels)}. A label applies if the sigmoid "
        "of its logit plus its offset reaches its threshold, both in answer.json."
    )
