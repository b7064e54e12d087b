"""The served SavedModel, which exported models are compared with, run on batches of texts.

.venv/bin/python -m benchmarks.peers.savedmodel_batches SAVED_MODEL QUESTIONS.json ALONE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the ops of the exported graph)

from benchmarks.answers import Answer, measured_answers
from benchmarks.processes import print_result
from models.features import PREDICTED_LABEL, PROBABILITIES, SERVING_SIGNATURE


def main() -> None:
    """Prints the result of `measured_answers`."""
    model = tf.saved_model.load(sys.argv[1])
    questions = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    serve = model.signatures[SERVING_SIGNATURE]

    def classify(texts: list[str]) -> list[Answer]:
        answer = serve(text=tf.constant(texts))
        labels = [label.decode() for label in answer[PREDICTED_LABEL].numpy()]
        return list(zip(labels, answer[PROBABILITIES].numpy().tolist(), strict=True))

    print_result(measured_answers(classify, questions, int(sys.argv[3])))


if __name__ == "__main__":
    main()
