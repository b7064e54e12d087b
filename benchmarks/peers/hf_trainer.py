"""Fine-tunes with the Hugging Face Trainer (PyTorch) and its defaults. Runs in `.venv-bench`.

    python -m benchmarks.peers.hf_trainer JOB.json   ->  the last line of the output is the result as JSON

The job names rows as JSON lines: {"input_ids": [101, ...], "label": 3}.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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
    """Returns seconds per epoch (of the whole `Trainer.train`) and accuracy on the test rows."""
    torch.set_num_threads(job["threads"])
    model = AutoModelForSequenceClassification.from_pretrained(
        job["checkpoint"], num_labels=len(job["labels"])
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
        train_dataset=read_rows(job["train"]),
        data_collator=DataCollatorWithPadding(AutoTokenizer.from_pretrained(job["checkpoint"])),
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    # Compared with the labels in the output, because `group_by_length` changes the order of predictions too.
    prediction = trainer.predict(read_rows(job["test"]))
    accuracy = float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())
    return {"seconds_per_epoch": seconds / job["epochs"], "accuracy": accuracy}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as output:
        result = train(job, output)
    print_result(result | {"peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
