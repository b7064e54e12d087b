"""The recipe for a task in CONTRIBUTING.md: a folder, a row and `task:` in a config, from the rows to the served answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.project import PROJECT_DIR
from tests.support.full import only_full
from tests.support.local_run import example, tfrecord_gz
from tests.support.tiny_model import TOPICS, rows, write_checkpoint

CONFIG = """\
name: stars
task: score
data: {path: data, schema: schema.pbtxt, label_list: labels.txt, label_column: stars}
model: {checkpoint: {path: encoder}}
transform: {max_length: 16}
train: {epochs: null, max_steps: 200, batch_size: 32, learning_rate: 0.003}
evaluate:
  thresholds: {squared_error: {max: 0.6, max_rise: 0.1}}
  slices: [{columns: [topic]}]
push: {serving_dir: serving}
"""
SCHEMA = "".join(
    f'feature {{ name: "{name}" type: {kind} presence {{ min_fraction: 1.0 }} shape {{ dim {{ size: 1 }} }} }}\n'
    for name, kind in (("text", "BYTES"), ("topic", "BYTES"), ("stars", "FLOAT"))
)
# Before anything reads the rows: the config's types are made of them.
ROW = 'from models.tasks.task import TASKS, Task\nTASKS["score"] = Task("score", "tests.support.toy_task")\n'
MAIN = f"{ROW}from pipeline.local.cli import main\nmain()\n"
PREDICT = """\
import json, sys
import tensorflow as tf, tensorflow_text
model = tf.saved_model.load(sys.argv[1])
given = tf.constant(sys.argv[2:])
print(json.dumps({k: v.numpy().tolist() for k, v in model.signatures["serving_default"](given).items() if k == "score"}))
"""


def call(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stars")
    (folder / "data").mkdir()
    for seed, (split, count) in enumerate((("train", 400), ("eval", 60), ("test", 60))):
        records = [
            example(text=text.encode(), topic=topic.encode(), stars=float(sorted(TOPICS).index(topic)))
            for text, topic in rows(count, seed)
        ]
        (folder / "data" / f"{split}-0.tfrecord.gz").write_bytes(tfrecord_gz(records))
    write_checkpoint(folder / "encoder")
    (folder / "labels.txt").write_text("stars\n")
    (folder / "schema.pbtxt").write_text(SCHEMA)
    (folder / "stars.yaml").write_text(CONFIG)
    return folder


def test_defaults_and_names_of_metrics_are_the_tasks(folder):
    shown = call(folder, MAIN, "config", "stars.yaml")
    assert (shown.returncode, shown.stdout) == (0, "stars.yaml: valid config of 'stars'\n"), shown.stderr
    for override, reason in {
        "evaluate.metrics=[accuracy]": "evaluate.metrics: task 'score' has no metric 'accuracy'; it has "
        "squared_error, example_count",
        "train.metric_for_best_model=accuracy": "train.metric_for_best_model: task 'score' has no metric "
        "'accuracy'; it has loss",
        "export.onnx={}": "export.onnx: models of task 'score' cannot be exported; remove it",
        "task=single_label": "evaluate.thresholds: task 'single_label' has no metric 'squared_error'; it has accuracy",
        "task=scores": "task: input should be 'single_label', 'multi_label', 'regression', 'token_labels' or 'score', got 'scores'",
    }.items():
        shown = call(folder, MAIN, "config", "stars.yaml", "--set", override)
        assert (shown.returncode, reason in shown.stderr) == (2, True), (override, shown.stderr)


@only_full  # a whole run
def test_it_is_trained_judged_tried_pushed_and_served(folder):
    done = call(folder, MAIN, "run", "stars.yaml", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["status"], result["version"]) == ("pushed", 1)
    assert result["metrics"]["squared_error"] < 0.6
    [page] = (folder / "runs/stars/artifacts/Report/page").glob("*/*.html")
    assert "<h2>Errors</h2>" in page.read_text()
    served = call(folder, PREDICT, "serving/stars/1", "what is the cat 1", "what is lima 2")
    scores = json.loads(served.stdout.splitlines()[-1])["score"]
    assert abs(scores[0][0] - 0.0) < abs(scores[0][0] - 2.0)
    assert abs(scores[1][0] - 2.0) < abs(scores[1][0] - 0.0)
