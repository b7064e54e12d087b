"""A report's contents, made by hand: two classes, a baseline, a rejected slice, malicious texts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from components.canary.report import CanaryReport
from components.evaluator.evaluation import Evaluation
from components.evaluator.settings import EvaluateSettings
from components.report.contents import Contents
from components.report.data_statistics import Anomaly, Column, SplitStatistics
from components.tokenization_gate.report import Mismatch, ParityReport, ShownToken
from components.trainer.history import history_of
from models.tasks.single_label.figures import Mistake, figures
from models.tasks.task import TASKS

CLASSES = ("ham", "spam")
LABEL_IDS = np.array([0, 0, 0, 0, 1, 1, 1, -1])
PROBABILITIES = np.array(
    [[0.9, 0.1], [0.8, 0.2], [0.65, 0.35], [0.3, 0.7], [0.2, 0.8], [0.05, 0.95], [0.6, 0.4], [0.5, 0.5]],
    np.float32,
)
HOSTILE = (
    "</blockquote><script>alert(1)</script>",
    '"><img src=https://example.org/x.png onerror=alert(1)>',
    "مرحبا بالعالم \u202e olleh \u202c \u2067",
    "NUL \x00 bell \x07 escape \x1b[31m \x85",
    "🙂 👩‍👩‍👧 naïve \u4e2d\u6587\nsecond line",
    "&lt;already escaped&gt; &#0; &#x3c;b>",
    "-->]]><!--<style>*{display:none}</style>",
    "word" * 300,
)
PARITY = ParityReport(
    tokenizer="WordPiece",
    max_length=64,
    max_mismatch_rate=0.01,
    rows={"train": 9000, "test": 800},
    compared={"train": 1200, "test": 800},
    mismatches={"train": 1, "test": 0},
    longer={"train": 30, "test": 1},
    examples=(
        Mismatch(
            "train", 17, (HOSTILE[0],), 3, ShownToken(1996, 0, "<b>the</b>"), ShownToken(2178, 0, "##the")
        ),
    ),
)
HISTORY = {
    "step": 20,
    "total_steps": 40,
    "train_rows": 1000,
    "stopped_early": True,
    "evaluations": [
        {"step": 10, "epoch": 1.0, "train_loss": 0.7, "loss": 0.5, "accuracy": 0.7},
        {"step": 20, "epoch": 2.0, "train_loss": 0.4, "loss": 0.45, "accuracy": 0.74},
    ],
    "best": {"step": 20, "epoch": 2.0, "train_loss": 0.4, "loss": 0.45, "accuracy": 0.74},
    "best_metric": "accuracy",
}


def make_contents(**changes: Any) -> Contents:
    """A blessed model that the canary accepts, with anything replaced."""
    mistakes = [Mistake((text,), "ham", "spam", 0.9, 0.1) for text in HOSTILE]
    contents = Contents(
        name="sms-spam",
        serving_dir="/mnt/models/serving",
        text_columns=["text"],
        evaluate=EvaluateSettings.model_validate(
            {"split": "test", "thresholds": {"accuracy": {"min": 0.7, "max_drop": 0.01}}}
        ),
        evaluation=Evaluation(
            metrics={"accuracy": 5 / 7, "macro_f1": 0.7, "example_count": 8.0},
            baseline={"accuracy": 0.7, "macro_f1": 0.71, "example_count": 8.0},
            per_class={"precision": {0: 0.75, 1: 0.6667}, "f1": {0: 0.75, 1: 0.6667}},
            per_class_baseline={"f1": {0: 0.7, 1: 0.7}},
            slices={"lang=de": {"accuracy": 0.5, "example_count": 4.0}, "lang=en": {"accuracy": 1.0}},
            slices_baseline={"lang=de": {"accuracy": 0.6}},
        ),
        blessed=True,
        canary=CanaryReport(True, (), {"p99_ms": 12.5, "peak_memory_mb": 512.0}),
        history=history_of(HISTORY),
        splits=[
            SplitStatistics(
                "train", 100, {"ham": 70, "spam": 30}, [Column("text", "text", 2, 98, "mean 48")]
            ),
            SplitStatistics("test", 8, {"ham": 4, "spam": 3}, [Column("text", "text", 0, 8, "mean 47")]),
        ],
        anomalies=[Anomaly("train", "text", "warning", "2 rows have no value <b>here</b>")],
        parity=PARITY,
        rows_predicted=8,
        task=TASKS["single_label"],
        figures=figures(LABEL_IDS, PROBABILITIES, CLASSES),
        mistakes=mistakes,
        model_artifact_id=7,
    )
    return replace(contents, **changes)
