"""The recipe for a metric in CONTRIBUTING.md, followed in a copy of the project: one row and one class."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

from components.project import PACKAGES, PROJECT_DIR

ROW = '    "weakest_f1": Metric("weakest F1", "WeakestF1", over_classes=True),\n'
CLASS = '''

class WeakestF1(_MatrixMetric):
    """F1 of the class that has least."""

    @staticmethod
    def compute(counts: ClassCounts, rows: float) -> dict[int | None, float]:
        del rows
        return {None: float(f1(counts).min())}
'''
# Of the rows of test_metrics, class c has no hit.
JUDGED = """
import json, sys
from pathlib import Path
from components.evaluator.evaluation import read_evaluation
from tests.components.evaluator.test_metrics import analyse, write_rows

folder = Path(sys.argv[1])
rows, evaluate = write_rows(folder / "rows.tfrecord"), {"thresholds": {"weakest_f1": {"min": 0.1}}}
analyse(rows, folder, evaluate)
found = read_evaluation(folder / "evaluation")
print(json.dumps([found.metrics["weakest_f1"], found.refusals]))
"""


def test_a_row_in_facts_and_a_class_make_a_metric_that_gates(tmp_path):
    for package in PACKAGES:
        shutil.copytree(PROJECT_DIR / package, tmp_path / package)
    facts = tmp_path / "models/tasks/single_label/facts.py"
    head, begin, rows = facts.read_text().partition("METRICS: Mapping[str, Metric] = {\n")
    facts.write_text(head + begin + ROW + rows)
    with (tmp_path / "components/evaluator/metrics.py").open("a") as file:
        file.write(CLASS)

    def run(code: str, *arguments: str) -> str:
        shown = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(PROJECT_DIR)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 0, shown.stderr[-3000:]
        return shown.stdout

    explained = run("from pipeline.config import explain; print(*explain(), sep='\\n')")
    assert "list[weakest_f1 | accuracy | macro_f1" in explained
    (tmp_path / "judged").mkdir()
    assert json.loads(run(JUDGED, str(tmp_path / "judged")).splitlines()[-1]) == [
        0.0,
        ["weakest_f1 0 is below the threshold 0.1"],
    ]
