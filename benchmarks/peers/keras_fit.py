"""Fine-tunes with plain Keras: `Model.fit` on rows padded to max_length. Runs in the project's environment.

python -m benchmarks.peers.keras_fit JOB.json   ->  the last line of the output is the result as JSON
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from transformers import WarmUp

from benchmarks.processes import peak_mib, print_result
from benchmarks.training_rows import read_rows
from models.checkpoints.classifier import load_classifier


def padded(path: str, length: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads JSON lines into input_ids and attention_mask int32 [rows, length], and labels int32 [rows]."""
    rows = read_rows(path)
    ids = np.zeros((len(rows), length), np.int32)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row["input_ids"])] = row["input_ids"]
        mask[i, : len(row["input_ids"])] = 1
    labels = np.array([row["label"] for row in rows], np.int32)
    return {"input_ids": ids, "attention_mask": mask}, labels


class BatchClock(tf_keras.callbacks.Callback):
    """Measures the first batch, which includes tracing, and the mean of the others; stops after `most` batches."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.batches, self.first, self.mean = most, 0, 0.0, 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        self.last = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        self.batches += 1
        if self.batches == 1:
            self.first = now - self.last
        else:
            self.mean += (now - self.last - self.mean) / (self.batches - 1)
        self.last = now
        if self.batches >= self.most:
            self.model.stop_training = True


def train(job: dict[str, Any]) -> dict[str, Any]:
    """Returns seconds per epoch, and score, the accuracy on the test rows, unless `most_batches` ended the training early."""
    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tf_keras.utils.set_random_seed(job["seed"])
    model = load_classifier(Path(job["checkpoint"]), job["labels"], seed=job["seed"])
    inputs, labels = padded(job["train"], job["max_length"])
    steps = job["epochs"] * -(-len(labels) // job["batch_size"])
    warm_up = -(-steps // 10)
    decay = tf_keras.optimizers.schedules.PolynomialDecay(job["learning_rate"], steps - warm_up, 0.0)
    optimizer = tf_keras.optimizers.AdamW(
        WarmUp(job["learning_rate"], decay, warm_up), weight_decay=0.01, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "LayerNorm"])
    model.compile(optimizer, tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    clock = BatchClock(job["most_batches"])
    model.fit(
        inputs, labels, batch_size=job["batch_size"], epochs=job["epochs"], verbose=0, callbacks=[clock]
    )
    seconds = clock.first + clock.mean * (steps - 1)
    if clock.batches < steps:
        return {"seconds_per_epoch": seconds / job["epochs"], "score": None}
    inputs, labels = padded(job["test"], job["max_length"])
    predicted = model.predict(inputs, batch_size=128, verbose=0).logits.argmax(-1)
    return {"seconds_per_epoch": seconds / job["epochs"], "score": float((predicted == labels).mean())}


def main() -> None:
    result = train(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print_result(result | {"peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
