"""Runs an exported model through the classify.py that ships with it; a child process of the part `exports`.

python -m benchmarks.export_classify MODEL QUESTIONS.json ALONE
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from benchmarks.answers import Answer, measured_answers
from benchmarks.processes import print_result


def main() -> None:
    """Prints the result of `measured_answers`."""
    model, questions = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    sys.path.insert(0, str(model.parent))
    classifier = importlib.import_module("classify").Classifier(model)

    def classify(texts: list[str]) -> list[Answer]:
        return [(row["label"], list(row["probabilities"].values())) for row in classifier(texts)]

    print_result(measured_answers(classify, questions, int(sys.argv[3])))


if __name__ == "__main__":
    main()
