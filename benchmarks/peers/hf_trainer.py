"""Fine-tunes with the Hugging Face Trainer (PyTorch) and its defaults. Runs in `.venv-bench`.

    python -m benchmarks.peers.hf_trainer JOB.json   ->  the last line of the output is the result as JSON

The job names rows as JSON lines: {"input_ids": [101, ...], "label": 3}, "label": [3, 17] for the task multi_label, and for
token_labels also "word_index": [-1, 0, 0, 1, -1], the word of each token.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from benchmarks.processes import peak_mib, print_result
from benchmarks.training_rows import read_rows
from models.tasks.token_labels.spans import find_spans, span_counts, span_figures
from models.tasks.token_labels.tags import tag_table

_IGNORED = -100  # labels that PyTorch's loss leaves out


def train(job: dict[str, Any], output: str) -> dict[str, float]:
    """Returns seconds per epoch (of the whole `Trainer.train`) and the score of the test rows: accuracy, sample F1 or span F1."""
    torch.set_num_threads(job["threads"])
    kind = _KINDS[job["task"]]
    model = kind.model_class.from_pretrained(
        job["checkpoint"], num_labels=len(job["labels"]), problem_type=kind.problem_type
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
        data_collator=kind.collator_class(AutoTokenizer.from_pretrained(job["checkpoint"])),
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    # Compared with the labels in the output, because `group_by_length` changes the order of predictions too.
    prediction = trainer.predict(_rows(job, "test"))
    score = kind.score(prediction.predictions, prediction.label_ids, job["labels"])
    return {"seconds_per_epoch": seconds / job["epochs"], "score": score}


def _rows(job: dict[str, Any], split: str) -> list[dict[str, Any]]:
    """Rows as the model takes them: several labels as numbers 0 and 1, one for each label of the list."""
    rows = read_rows(job[split])
    if job["task"] == "single_label":
        return rows
    if job["task"] == "token_labels":
        return [{"input_ids": row["input_ids"], "labels": _of_first_tokens(row)} for row in rows]
    classes = range(len(job["labels"]))
    return [
        {"input_ids": row["input_ids"], "labels": [float(i in row["label"]) for i in classes]} for row in rows
    ]


def _of_first_tokens(row: dict[str, Any]) -> list[int]:
    """The tag of each word at its first token, and _IGNORED elsewhere, as in Hugging Face's scripts."""
    words = row["word_index"]
    return [
        row["label"][word] if word >= 0 and word != before else _IGNORED
        for before, word in zip([-1, *words], words, strict=False)
    ]


def _span_f1(logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> float:
    """F1 of spans, as seqeval reads them; padding of predictions is _IGNORED, too."""
    table, counts = tag_table(classes), np.zeros(3)
    for row, answered in zip(labels, logits.argmax(-1), strict=True):
        known = row != _IGNORED
        labelled, found = (find_spans(tags[known][np.newaxis], table) for tags in (row, answered))
        counts += span_counts(labelled, found, len(table.types)).sum(axis=0)
    return span_figures(counts).f1


def _accuracy(logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> float:
    del classes
    return float((logits.argmax(-1) == labels).mean())


def _sample_f1(logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> float:
    """The mean over rows of F1 at the probability 0.5; 1 for a row without labels that gets none."""
    del classes
    predicted = logits >= 0.0
    both, whole = (labels * predicted).sum(-1), (labels + predicted).sum(-1)
    return float(np.where(whole > 0.0, 2.0 * both / np.maximum(whole, 1.0), 1.0).mean())


class _Kind(NamedTuple):
    """What a task is for transformers."""

    model_class: Any
    problem_type: str | None
    collator_class: Any
    score: Callable[[np.ndarray, np.ndarray, Sequence[str]], float]


_WHOLE = AutoModelForSequenceClassification, DataCollatorWithPadding
_KINDS = {
    "single_label": _Kind(_WHOLE[0], "single_label_classification", _WHOLE[1], _accuracy),
    "multi_label": _Kind(_WHOLE[0], "multi_label_classification", _WHOLE[1], _sample_f1),
    "token_labels": _Kind(
        AutoModelForTokenClassification, None, DataCollatorForTokenClassification, _span_f1
    ),
}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as output:
        result = train(job, output)
    print_result(result | {"peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
