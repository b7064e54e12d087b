"""Fine-tunes with the Hugging Face Trainer (PyTorch) and its defaults. Runs in `.venv-bench`.

    python -m benchmarks.peers.hf_trainer JOB.json   ->  the last line of the output is the result as JSON

The job names rows as JSON lines: {"input_ids": [101, ...], "label": 3}, or "label": [3, 17] for the task multi_label.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from benchmarks.processes import peak_mib, print_result
from benchmarks.training_rows import read_rows


def train(job: dict[str, Any], output: str) -> dict[str, float]:
    """Returns seconds per epoch (of the whole `Trainer.train`) and the score of the test rows: accuracy, or sample F1."""
    torch.set_num_threads(job["threads"])
    several = job["task"] == "multi_label"
    model = AutoModelForSequenceClassification.from_pretrained(
        job["checkpoint"],
        num_labels=len(job["labels"]),
        problem_type="multi_label_classification" if several else "single_label_classification",
    )
    arguments = TrainingArguments(
        output_dir=output,
        per_device_train_batch_size=job["batch_size"],
        per_device_eval_batch_size=128,
        num_train_epochs=job["epochs"],
        learning_rate=job["learning_rate"],
        warmup_ratio=0.1,
        weight_decay=0.01,
        group_by_length=job["group_by_length"],
        seed=job["seed"],
        bf16=job["bf16"],
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=_rows(job, "train"),
        data_collator=DataCollatorWithPadding(AutoTokenizer.from_pretrained(job["checkpoint"])),
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    # Compared with the labels in the output, because `group_by_length` changes the order of predictions too.
    prediction = trainer.predict(_rows(job, "test"))
    score = (_sample_f1 if several else _accuracy)(prediction.predictions, prediction.label_ids)
    return {"seconds_per_epoch": seconds / job["epochs"], "score": score}


def _rows(job: dict[str, Any], split: str) -> list[dict[str, Any]]:
    """Rows as the model takes them: several labels as numbers 0 and 1, one for each label of the list."""
    rows = read_rows(job[split])
    if job["task"] != "multi_label":
        return rows
    classes = range(len(job["labels"]))
    return [
        {"input_ids": row["input_ids"], "labels": [float(i in row["label"]) for i in classes]} for row in rows
    ]


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(-1) == labels).mean())


def _sample_f1(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean over rows of F1 at the probability 0.5; 1 for a row without labels that gets none."""
    predicted = logits >= 0.0
    both, whole = (labels * predicted).sum(-1), (labels + predicted).sum(-1)
    return float(np.where(whole > 0.0, 2.0 * both / np.maximum(whole, 1.0), 1.0).mean())


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as output:
        result = train(job, output)
    print_result(result | {"peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
