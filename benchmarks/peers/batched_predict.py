"""Peer of the Evaluator: loads the SavedModel, reads the rows, predicts in batches and counts correct labels.

    .venv/bin/python -m benchmarks.peers.batched_predict SAVED_MODEL EXAMPLES_GLOB BATCH

It uses the raw-text signature, like the Evaluator, but computes no metrics per class, slices, confidence intervals or
blessing. It is timed from loading the model to the last answer, without imports.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the ops of the exported graph)

from benchmarks.processes import peak_mib, print_result, reset_peak
from models.features import PREDICTED_LABEL, SERVING_SIGNATURE


def main() -> None:
    """Prints {"seconds", "load_seconds", "peak_mib", "rows", "accuracy"}."""
    model_dir, pattern, batch = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    reset_peak()
    started = time.perf_counter()
    model = tf.saved_model.load(str(model_dir))
    serve = model.signatures[SERVING_SIGNATURE]
    load_seconds = time.perf_counter() - started
    rows, hits = 0, 0
    for texts, labels in _batches(pattern, batch):
        predicted = serve(text=texts)[PREDICTED_LABEL]
        hits += int(tf.reduce_sum(tf.cast(predicted == labels, tf.int32)))
        rows += int(tf.size(labels))
    print_result(
        {
            "seconds": time.perf_counter() - started,
            "load_seconds": load_seconds,
            "peak_mib": peak_mib(),
            "rows": rows,
            "accuracy": hits / rows,
        }
    )


def _batches(pattern: str, batch: int) -> tf.data.Dataset:
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in ("text", "label")}
    files = sorted(tf.io.gfile.glob(pattern))
    compression = "GZIP" if files[0].endswith(".gz") else ""
    records = tf.data.TFRecordDataset(files, compression).batch(batch).prefetch(2)
    return records.map(lambda r: tf.io.parse_example(r, spec)).map(lambda c: (c["text"], c["label"]))


if __name__ == "__main__":
    main()
