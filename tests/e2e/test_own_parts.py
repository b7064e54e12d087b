"""Own parts in whole runs of the command line: all four templates, gated by the metric, served without their code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.project import PROJECT_DIR
from tests.support.full import only_full
from tests.support.tiny_project import write_project

pytestmark = pytest.mark.e2e

COST = "own_parts.metrics.ExpectedCost"
SETTINGS = (
    "transform.text=own_parts.cleaning.without_markup",
    "model.head=own_parts.heads.MeanPooling",
    "train.loss=own_parts.losses.focal",
    "train.max_steps=150",
    f"evaluate.slices=[{{columns: [label], thresholds: {{{COST}: {{max: 0.9}}}}}}]",
)
# A server's process, in which there is no such package.
PREDICT = """\
import json, sys
sys.modules["own_parts"] = None
import tensorflow as tf, tensorflow_text
model = tf.saved_model.load(sys.argv[1])
answers = model.signatures["serving_default"](tf.constant(sys.argv[2:]))
print(json.dumps([label.decode() for label in answers["label"].numpy()]))
"""


def run(folder: Path, maximum: float, code: int) -> dict[str, Any]:
    """A run whose threshold is a maximum cost, with the code in `code`."""
    threshold = f"evaluate.thresholds={{{COST}: {{max: {maximum}, max_rise: 0.01}}}}"
    options = [part for setting in (*SETTINGS, threshold) for part in ("--set", setting)]
    done = subprocess.run(
        [sys.executable, "code/runner_local.py", "run", "tiny.yaml", "--json", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def write_code(folder: Path) -> None:
    """The project's code with an own package own_parts."""
    for name in ("components", "models", "pipeline", "data"):
        (folder / name).symlink_to(PROJECT_DIR / name)
    shutil.copy(PROJECT_DIR / "runner_local.py", folder)
    shutil.copytree(PROJECT_DIR / "own_parts", folder / "own_parts")


@only_full  # two whole runs
def test_all_templates_from_the_config_to_the_served_answer_and_an_edit_reruns_what_uses_it(
    tmp_path: Path,
) -> None:
    write_project(tmp_path)
    (tmp_path / "code").mkdir()
    write_code(tmp_path / "code")
    first = run(tmp_path, maximum=0.3, code=0)
    assert first["status"] == "pushed"
    assert first["metrics"][COST] <= 0.3
    texts = [
        "what is the cat 1",
        "<b>what</b> is&nbsp;the cat 1",
        "what is lima 2",
        "<p class='a'>what is lima 2</p>",
    ]
    served = subprocess.run(
        [sys.executable, "-c", PREDICT, str(tmp_path / "serving" / "tiny" / "1"), *texts],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(served.stdout.splitlines()[-1]) == ["animal", "animal", "place", "place"]

    template = tmp_path / "code" / "own_parts" / "metrics.py"
    template.write_text(
        template.read_text().replace("PERSON = 0.2", "PERSON = 0.9").replace("BELOW = 0.5", "BELOW = 1.1")
    )
    second = run(tmp_path, maximum=0.3, code=3)
    assert second["metrics"][COST] == pytest.approx(0.9)
    states = {node["id"]: node["state"] for node in second["nodes"]}
    assert (states["Transform"], states["Trainer"], states["Evaluator"]) == ("cached", "cached", "done")
    pages = (tmp_path / "runs/tiny/artifacts/Report/page").glob("*/*.html")
    assert COST in max(pages, key=lambda path: int(path.parent.name)).read_text()
