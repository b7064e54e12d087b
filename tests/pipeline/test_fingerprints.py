"""A code edit changes the fingerprints of the nodes that use it, and no others."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components import fingerprints
from components.fingerprints import code_fingerprint, content_fingerprint
from components.project import PACKAGES, PROJECT_DIR
from tests.support.tiny_project import write_project


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "sample_nodes"
    (root / "a").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "a" / "__init__.py").write_text("")
    (root / "a" / "node.py").write_text("from sample_nodes.shared import value\n")
    (root / "b.py").write_text("import os\n")
    (root / "shared.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    fingerprints._source.cache_clear()
    yield root
    fingerprints._source.cache_clear()
    sys.modules.pop("sample_nodes", None)


def test_edit_of_an_imported_module_changes_only_its_users(package):
    before = {name: code_fingerprint(f"sample_nodes.{name}") for name in ("a.node", "b")}
    (package / "shared.py").write_text("value = 2\n")
    assert code_fingerprint("sample_nodes.a.node") != before["a.node"]
    assert code_fingerprint("sample_nodes.b") == before["b"]


def test_an_edit_of_a_file_that_a_module_ships_changes_the_users_of_that_module_only(package):
    before = {name: code_fingerprint(f"sample_nodes.{name}") for name in ("a.node", "b")}
    shipped = package / "a" / "files"
    shipped.mkdir()
    (shipped / "page.html").write_text("<p>")
    assert code_fingerprint("sample_nodes.a.node") != before["a.node"]
    assert code_fingerprint("sample_nodes.b") == before["b"]


def test_same_sources_give_the_same_fingerprint(package):
    assert code_fingerprint("sample_nodes.a.node") == code_fingerprint("sample_nodes.a.node")


def test_content_fingerprint_follows_bytes_and_names(tmp_path):
    (tmp_path / "x").write_text("one")
    first = content_fingerprint(tmp_path)
    (tmp_path / "x").write_text("two")
    second = content_fingerprint(tmp_path)
    (tmp_path / "x").rename(tmp_path / "y")
    assert len({first, second, content_fingerprint(tmp_path)}) == 3


# Another member of each axis: a copy of ours, and its row.
ROWS = {
    "models/tokenizers/wordpiece": (
        "models/tokenizers/family.py",
        """
FAMILIES["other"] = Family(
    "Other", "Other", (), "models.tokenizers.other.spec", "models.tokenizers.other.graph", {}
)
""",
    ),
    "models/encoders/bert": (
        "models/encoders/families.py",
        """
FAMILIES["other"] = Family("models.encoders.other")
""",
    ),
    "models/tasks/single_label": (
        "models/tasks/task.py",
        """
TASKS["other"] = Task("other", "models.tasks.other")
""",
    ),
    "components/exports/onnx": (
        "components/exports/format.py",
        """
FORMATS["other"] = Format("components.exports.other", "OtherExport")
""",
    ),
}
# Prints, for each file that is edited in turn, the nodes of a whole pipeline whose parameters differ from before.
RERUN_BY = """\
import json, sys
from pathlib import Path
from pipeline.config import load_config
from pipeline.paths import local_paths
from pipeline.training_pipeline import create_pipeline

project = Path(sys.argv[1])
chosen = ["export.tflite={}", "export.onnx={}", "export.tfjs={}", "push.destinations=[{folder: /pushed}]"]
config = load_config(project / "tiny.yaml", chosen)
paths = local_paths(project / "runs", config.name, project / "encoder")

def parameters():
    return {node.id: str(node.exec_properties) for node in create_pipeline(config, paths).components}

before, rerun = parameters(), {}
for edited in sys.argv[2:]:
    content = Path(edited).read_bytes()
    Path(edited).write_bytes(content + b"\\n# edited\\n")
    rerun[edited] = [node for node, now in parameters().items() if now != before[node]]
    Path(edited).write_bytes(content)
print(json.dumps(rerun))
"""
EXPORTS = ["TFLiteExport", "ONNXExport", "TFJSExport"]
# The Pusher has the hash of the code that made a model, for push.json: it runs where Transform or the Trainer does.
RERUN = {
    "models/tokenizers/wordpiece/graph.py": ["TokenizationGate", "Transform", "Pusher"],
    "models/tokenizers/wordpiece/spec.py": ["TokenizationGate", "Transform", "Pusher", *EXPORTS],
    "models/tokenizers/wordpiece/javascript.py": ["TFJSExport"],
    "models/tokenizers/packing.py": ["TokenizationGate", "Transform", "Trainer", "Pusher"],
    "models/tokenizers/parity.py": ["TokenizationGate"],
    "models/encoders/bert/forward.py": ["Trainer", "Pusher"],
    "models/encoders/reference/forward.py": [],
    "models/encoders/bert/facts.py": ["Trainer", "Pusher", "SecondPusher"],
    "models/tasks/single_label/facts.py": [
        "DataGate",
        "Transform",
        "Trainer",
        "Evaluator",
        "Pusher",
        "Report",
        "SecondPusher",
        *EXPORTS,
    ],
    "models/tasks/single_label/starting.py": [],
    "models/tasks/single_label/label_kinds.py": [],
    "models/tasks/single_label/labels.py": ["Transform", "Trainer", "Pusher", *EXPORTS],
    "models/tasks/single_label/head.py": ["Trainer", "Pusher"],
    "models/tasks/single_label/figures.py": ["Report", *EXPORTS],
    "models/tasks/single_label/evaluation.py": ["Evaluator"],
    "models/checkpoints/checks.py": [],  # only used before a run
    "components/trainer/train_loop.py": ["Trainer", "Pusher"],
    "components/trainer/export.py": ["Trainer", "Pusher"],
    "components/trainer/settings.py": ["Trainer", "Pusher"],
    "components/evaluator/metrics.py": ["Evaluator"],
    "components/serving/settings.py": ["Canary"],
    "components/canary/local_process_runner.py": ["Canary"],
    # The server looks for them.
    "components/versions/store.py": ["Canary", "Pusher", *EXPORTS],
    "components/versions/record.py": ["Canary", "Pusher", "SecondPusher", *EXPORTS],
    "components/data_gate/rules.py": ["DataGate"],
    "components/tokenization_gate/settings.py": ["TokenizationGate"],
    "components/tokenization_gate/report.py": ["TokenizationGate", "Report"],
    "components/exports/onnx/export.py": ["ONNXExport"],
    "components/exports/tflite/export.py": ["TFLiteExport"],
    "components/exports/tflite/settings.py": [],
    "components/exports/trial.py": EXPORTS,
    "components/report/charts.py": ["Report"],
    # Warm-up requests and evaluations are TFRecords.
    "components/example_gen/tfrecord.py": [
        "TFRecordExampleGen",
        "DataGate",
        "TokenizationGate",
        "Evaluator",
        "Canary",
        "Pusher",
        "Report",
    ],
    # The code that creates a node is not code that it runs.
    "components/pusher/component.py": [],
    "components/fingerprints.py": [],
}


def with_other_members(folder: Path) -> None:
    """Copies the project's packages, and gives each axis another member."""
    for package in PACKAGES:
        shutil.copytree(PROJECT_DIR / package, folder / package)
    for member, (rows, row) in ROWS.items():
        shutil.copytree(folder / member, (folder / member).with_name("other"))
        with (folder / rows).open("a") as file:
            file.write(row)


def test_an_edit_reruns_exactly_the_nodes_that_use_it_and_an_edit_of_another_member_nothing(tmp_path):
    with_other_members(tmp_path / "code")
    (tmp_path / "project").mkdir()
    write_project(tmp_path / "project")
    of_others = [
        str(path.relative_to(tmp_path / "code"))
        for member in ROWS
        for path in sorted((tmp_path / "code" / member).with_name("other").glob("*.py"))
    ]
    assert {Path(path).name for path in of_others} >= {"spec.py", "forward.py", "head.py", "export.py"}
    command = [sys.executable, "-c", RERUN_BY, str(tmp_path / "project"), *RERUN, *of_others]
    shown = subprocess.run(command, cwd=tmp_path / "code", capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr[-3000:]
    rerun = json.loads(shown.stdout.splitlines()[-1])
    expected = RERUN | {path: [] for path in of_others}
    assert {path: set(nodes) for path, nodes in rerun.items()} == {
        path: set(nodes) for path, nodes in expected.items()
    }
