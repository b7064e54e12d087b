"""A multi-label task with 1,000 labels, from import to the evaluation: rows/s and memory with ten times the rows.

The rows are generated, one epoch trains a tiny encoder with random weights, and the figures are those of `scale`.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from benchmarks import scale
from benchmarks.encoders import write_random_encoder
from benchmarks.workspace import Workspace
from components.project import PROJECT_DIR

LABELS, WORDS, WORDS_OF_TEXT, MOST_LABELS = 1000, 2000, 8, 5
NODES = ("TFRecordExampleGen", "StatisticsGen", "Transform", "Trainer", "Evaluator")
_ROWS, _QUICK_ROWS = 10_000, 2_000  # at 1x
_FACTOR, _QUICK_FACTOR = 10, 3
_ENCODER = {
    "model_type": "distilbert",
    "vocab_size": 30_000,
    "dim": 64,
    "hidden_dim": 128,
    "n_layers": 1,
    "n_heads": 2,
    "max_position_embeddings": 64,
}


def run(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    """Returns rows/s and peak memory of the import and of each node, at 3 (quick) or 10 times the rows."""
    labels = ManyLabels(workspace.folder / "many_labels", _QUICK_ROWS if quick else _ROWS)
    rows = scale.compared(labels, {(_QUICK_FACTOR if quick else _FACTOR): "Evaluator"}, "Evaluator", NODES)
    return [row | {"what": f"{LABELS:,} labels: {row['what']}"} for row in rows]


class ManyLabels(Workspace):
    """Generated rows of up to MOST_LABELS of LABELS labels. `count`: rows at 1x."""

    config = PROJECT_DIR / "configs" / "trec_fine.yaml"
    import_options = ("--text", "text", "--label", "labels", "--task", "multi_label", "--name", "trec_fine")

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(folder)
        self.count = count

    def write_rows(self, path: Path, factor: int) -> None:
        """As of `Workspace`; all labels occur."""
        draw = random.Random(0)
        with path.open("w", encoding="utf-8") as out:
            for number in range(self.count * factor):
                words = [f"w{draw.randrange(WORDS)}" for _ in range(WORDS_OF_TEXT)]
                others = draw.sample(range(LABELS), draw.randrange(MOST_LABELS))
                labels = sorted({number % LABELS, *others})
                row = {"text": " ".join([*words, str(number)]), "labels": [f"label{i}" for i in labels]}
                out.write(json.dumps(row) + "\n")

    def training(self, factor: int) -> list[str]:
        """One epoch of the tiny encoder."""
        checkpoint = self._base(factor) / "encoder"
        if not checkpoint.exists():
            texts = [f"w{i} {i}" for i in range(WORDS)]
            write_random_encoder(checkpoint, _ENCODER, "wordpiece", texts)
        return [
            f"model.checkpoint={{path: {checkpoint}}}",
            "train.epochs=1",
            "train.batch_size=128",
            "evaluate.metrics=[micro_f1, macro_f1, sample_f1, subset_accuracy, binary_cross_entropy]",
            "evaluate.thresholds={micro_f1: {min: 0.0}}",
        ]
