"""Peer of the model server: the bare SavedModel, called with one question after another in one process.

.venv/bin/python -m benchmarks.peers.savedmodel_loop SAVED_MODEL QUESTIONS.json SECONDS
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the ops of the exported graph)

from benchmarks.load import WARM_SECONDS, summary
from benchmarks.processes import peak_mib, print_result
from models.features import PREDICTED_LABEL, SERVING_SIGNATURE


def main() -> None:
    """Prints the figures of the load generator, the labels of all questions and the peak."""
    folder, questions, seconds = sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), float(sys.argv[3])
    model = tf.saved_model.load(folder)
    serve = model.signatures[SERVING_SIGNATURE]

    def ask(question: str) -> str:
        label: bytes = serve(text=tf.constant([question]))[PREDICTED_LABEL].numpy()[0]
        return label.decode()

    labels = [ask(question) for question in questions]
    starts = time.perf_counter() + WARM_SECONDS
    took = []
    for question in itertools.cycle(questions):
        sent = time.perf_counter()
        ask(question)
        now = time.perf_counter()
        if now > starts + seconds:
            break
        if sent > starts:
            took.append(now - sent)
    print_result(summary(took, seconds) | {"labels": labels, "peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
