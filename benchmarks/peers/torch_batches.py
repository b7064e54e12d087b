"""Peer of the exported models: the same weights in PyTorch, run on batches. Runs in `.venv-bench`.

    python -m benchmarks.peers.torch_batches MODEL_FOLDER QUESTIONS.json ALONE

It uses transformers' fast tokenizer, padding to the longest row of a batch, no gradients, and as many threads as cores.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from benchmarks.answers import Answer, measured_answers
from benchmarks.processes import print_result


def main() -> None:
    """Prints the result of `measured_answers`."""
    folder, questions = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    names = model.config.id2label

    def classify(texts: list[str]) -> list[Answer]:
        tokens = tokenizer(texts, padding="longest", truncation=True, return_tensors="pt")
        with torch.no_grad():
            probabilities = model(**tokens).logits.softmax(-1)
        best = probabilities.argmax(-1).tolist()
        return [(names[label], row) for label, row in zip(best, probabilities.tolist(), strict=True)]

    print_result(measured_answers(classify, questions, int(sys.argv[3])))


if __name__ == "__main__":
    main()
