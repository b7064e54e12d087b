"""A code edit changes the fingerprint of the nodes that use it and of no other."""

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
from models.encoders.families import FAMILIES
from models.tasks.task import TASKS
from pipeline import provenance, training_pipeline
from pipeline.config import load_config
from pipeline.paths import local_paths
from pipeline.provenance import training_code
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


NODES = {
    "TFRecordExampleGen": "components.example_gen.executor",
    "DataGate": "components.data_gate.executor",
    "Transform": "components.transform.preprocessing models.tokenizers.wordpiece.spec models.tokenizers.wordpiece.graph",
    "Trainer": " ".join(training_code(FAMILIES["bert"], TASKS["single_label"])),
    "Evaluator": "components.evaluator.metrics",
    "Canary": "components.canary.executor components.serving.__main__",
    "Pusher": "components.pusher.executor",
    "SecondPusher": f"components.destinations.executor {FAMILIES['bert'].facts_module}",
    "ONNXExport": "components.exports.executor components.exports.onnx.export models.tokenizers.wordpiece.spec",
    "TFJSExport": "components.exports.executor components.exports.tfjs.export models.tokenizers.wordpiece.javascript",
    "Report": "components.report.executor",
}


OTHER_FAMILY = """
FAMILIES["other"] = Family(
    "Other", "Other", (), "models.tokenizers.other.spec", "models.tokenizers.other.graph", {}
)
"""


@pytest.mark.parametrize(
    ("edited", "rerun"),
    [
        ("models/tokenizers/wordpiece/graph.py", ["Transform"]),
        ("models/tokenizers/wordpiece/spec.py", ["Transform", "ONNXExport", "TFJSExport"]),
        ("models/tokenizers/wordpiece/javascript.py", ["TFJSExport"]),
        ("models/tokenizers/packing.py", ["Transform"]),
        # Another family's modules.
        ("models/tokenizers/other/graph.py", []),
        ("models/tokenizers/other/spec.py", []),
        ("components/trainer/train_loop.py", ["Trainer"]),
        ("models/encoders/bert/forward.py", ["Trainer"]),
        ("models/encoders/bert/facts.py", ["Trainer", "SecondPusher"]),
        ("models/encoders/other/forward.py", []),  # another family than that of the checkpoint
        ("models/encoders/other/facts.py", []),
        ("models/checkpoints/checks.py", []),  # asked before a run only
        ("components/trainer/export.py", ["Trainer"]),
        ("components/trainer/settings.py", ["Trainer"]),
        ("components/evaluator/metrics.py", ["Evaluator"]),
        ("components/serving/settings.py", ["Canary"]),
        ("components/canary/local_process_runner.py", ["Canary"]),
        (
            "components/versions/store.py",  # the server looks for them
            ["Canary", "Pusher", "SecondPusher", "ONNXExport", "TFJSExport"],
        ),
        ("components/data_gate/rules.py", ["DataGate"]),
        ("components/report/charts.py", ["Report"]),
        (
            "components/example_gen/tfrecord.py",
            # Warm-up requests are TFRecords.
            ["TFRecordExampleGen", "DataGate", "Canary", "Pusher", "Report"],
        ),
    ],
)
def test_edit_in_components_reruns_exactly_the_nodes_that_use_it(tmp_path, edited, rerun):
    root = PROJECT_DIR
    for package in PACKAGES:
        shutil.copytree(root / package, tmp_path / package)
    tokenizers = tmp_path / "models" / "tokenizers"
    shutil.copytree(tokenizers / "wordpiece", tokenizers / "other")
    with (tokenizers / "family.py").open("a") as file:
        file.write(OTHER_FAMILY)
    shutil.copytree(tmp_path / "models/encoders/bert", tmp_path / "models/encoders/other")
    code = (
        "import json, components.fingerprints as f\n"
        f"print(json.dumps({{node: f.code_fingerprint(*modules.split()) for node, modules in {NODES!r}.items()}}))"
    )

    def fingerprints_now() -> dict[str, str]:
        shown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True)
        return json.loads(shown.stdout)

    before = fingerprints_now()
    with (tmp_path / edited).open("a") as file:
        file.write("\n# edited\n")
    after = fingerprints_now()
    assert [node for node in NODES if before[node] != after[node]] == rerun


def test_nodes_and_push_json_name_the_modules_of_the_checkpoints_tokenizer(tmp_path, monkeypatch):
    named: list[tuple[str, ...]] = []

    def fingerprint(*modules: str) -> str:
        named.append(modules)
        return "0" * 16

    monkeypatch.setattr(training_pipeline, "code_fingerprint", fingerprint)
    monkeypatch.setattr(provenance, "code_fingerprint", fingerprint)
    config = load_config(write_project(tmp_path), ["export.onnx={}", "export.tfjs={}"])
    training_pipeline.create_pipeline(config, local_paths(tmp_path / "runs", "tiny", tmp_path / "encoder"))
    modules = ("models.tokenizers.wordpiece.spec", "models.tokenizers.wordpiece.graph")
    kept = [
        [name for name in names if name.startswith(("components.", "models.tokenizers."))] for names in named
    ]
    assert [names for names in kept if any(name.startswith("models.tokenizers.") for name in names)] == [
        ["components.transform.preprocessing", *modules],
        ["components.transform.preprocessing", *modules, "components.trainer.run_fn"],
        ["components.exports.executor", "components.exports.onnx.export", modules[0]],
        [
            "components.exports.executor",
            "components.exports.tfjs.export",
            "models.tokenizers.wordpiece.javascript",
        ],
    ]


# Prints, for each file that is edited in turn, the nodes of a whole pipeline whose parameters differ from before.
RERUN_BY = """\
import json, sys
from pathlib import Path
from components import fingerprints
from pipeline.config import load_config
from pipeline.paths import local_paths
from pipeline.training_pipeline import create_pipeline

project = Path(sys.argv[1])
config = load_config(project / "tiny.yaml", ["export.tflite={}", "push.destinations=[{folder: /pushed}]"])
paths = local_paths(project / "runs", config.name, project / "encoder")

def parameters():
    fingerprints._source.cache_clear()
    fingerprints._imports.cache_clear()
    return {node.id: str(node.exec_properties) for node in create_pipeline(config, paths).components}

before, rerun = parameters(), {}
for edited in sys.argv[2:]:
    content = Path(edited).read_bytes()
    Path(edited).write_bytes(content + b"\\n# edited\\n")
    rerun[edited] = [node for node, now in parameters().items() if now != before[node]]
    Path(edited).write_bytes(content)
print(json.dumps(rerun))
"""
ROW = '    "single_label": Task("single_label", "models.tasks.single_label"),\n'


def test_an_edit_of_a_task_reruns_the_nodes_that_load_it_and_an_edit_of_another_task_nothing(tmp_path):
    code, tasks = tmp_path / "code", "models/tasks"
    for package in PACKAGES:
        shutil.copytree(PROJECT_DIR / package, code / package)
    shutil.copytree(code / tasks / "single_label", code / tasks / "other")
    rows = (code / tasks / "task.py").read_text()
    assert rows.count(ROW) == 1
    (code / tasks / "task.py").write_text(rows.replace(ROW, ROW + ROW.replace("single_label", "other")))
    (tmp_path / "project").mkdir()
    write_project(tmp_path / "project")
    parts = ("facts", "starting", "labels", "head", "figures")
    edits = [f"{tasks}/{task}/{part}.py" for task in ("single_label", "other") for part in parts]
    command = [sys.executable, "-c", RERUN_BY, str(tmp_path / "project"), *edits]
    shown = subprocess.run(command, cwd=code, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr[-3000:]
    rerun = json.loads(shown.stdout.splitlines()[-1])
    # The Pusher has the hash of the code that made a model, for push.json.
    assert rerun == {
        f"{tasks}/single_label/facts.py": [
            "DataGate",
            "Transform",
            "Trainer",
            "Evaluator",
            "Pusher",
            "Report",
            "SecondPusher",
            "TFLiteExport",
        ],
        f"{tasks}/single_label/starting.py": [],
        f"{tasks}/single_label/labels.py": ["Transform", "Trainer", "Pusher", "TFLiteExport"],
        f"{tasks}/single_label/head.py": ["Trainer", "Pusher"],
        f"{tasks}/single_label/figures.py": ["Report", "TFLiteExport"],
        **{f"{tasks}/other/{part}.py": [] for part in parts},
    }
