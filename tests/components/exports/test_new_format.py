"""The recipe for an export format in CONTRIBUTING.md: two modules and a row make a config key, a node and its step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tfx.types.standard_artifacts import Examples, Model, PushedModel

from components.exports.artifacts import DESTINATION, ExportedModel
from components.exports.executor import Executor
from components.exports.format import FORMATS, Format
from components.exports.report import read_report
from components.project import PROJECT_DIR
from components.refusal import REFUSED
from components.report.artifacts import Metrics
from tests.support.kubeflow.workplace import write_workplace
from tests.support.local_run import example, tfrecord_gz
from tests.support.tiny_export import MAX_LENGTH, TinyExport
from tests.support.toy_format.settings import Settings

CONFIG = """\
name: my_model
data: {path: data, schema: schema.pbtxt, label_list: labels.txt}
model: {checkpoint: {path: encoder}}
evaluate: {thresholds: {accuracy: {min: 0.5}}}
push: {serving_dir: serving}
export: {toy: {max_drop: 0.25}}
kubeflow:
  data_path: /mnt/models/data
  serving_dir: /mnt/models/serving
  volumes: [{claim: models, mount_path: /mnt/models}]
  steps: {ToyExport: {cpu: 2}}
"""
# The rows, before anything is made of them; then the keys of the config and the steps of the package.
COMPILED = """
import sys
from pathlib import Path
from components.exports.format import FORMATS, Format
from models.tokenizers.family import FAMILIES
FORMATS["toy"] = Format("tests.support.toy_format", "ToyExport")
FAMILIES["wordpiece"].exports["toy"] = "models.tokenizers.wordpiece.spec"

from pipeline.config import explain, load_config
from pipeline.kubeflow.compiler.package import compile_package
print(*(f"{key.key}: {key.default}" for key in explain() if key.key.startswith("export.toy")), sep="; ")
folder = Path(sys.argv[1])
spec, _ = compile_package(load_config(folder / "my.yaml"), "image", folder / "encoder", folder)
print(*(step for step in spec["root"]["dag"]["tasks"] if "Export" in step), sep="; ")
"""


def test_a_row_makes_a_config_key_a_node_and_its_step(tmp_path):
    shown = subprocess.run(
        [sys.executable, "-c", COMPILED, str(write_workplace(tmp_path, CONFIG))],
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr[-3000:]
    assert shown.stdout.splitlines() == [
        "export.toy: null; export.toy.max_drop: 0.01; export.toy.metric: accuracy; export.toy.variants: ['float32']",
        "ToyExport; ToyExport-verdict",
    ]


@pytest.fixture
def artifacts(one_text: TinyExport, tmp_path: Path) -> dict[str, list[Any]]:
    """A pushed model, and rows of the eval split that it answers right."""
    from tests.components.exports.conftest import batch, served

    tokens = batch(8, MAX_LENGTH)
    right = served(one_text, tokens).argmax(-1)
    split = tmp_path / "examples/Split-eval"
    split.mkdir(parents=True)
    records = [
        example(input_ids=[int(i) for i in ids[mask == 1]], label_id=int(label))
        for ids, mask, label in zip(tokens["input_ids"], tokens["attention_mask"], right, strict=True)
    ]
    (split / "rows.gz").write_bytes(tfrecord_gz(records))
    model, pushed, examples = Model(), PushedModel(), Examples()
    model.uri, examples.uri = str(tmp_path / "model"), str(tmp_path / "examples")
    examples.split_names = '["eval"]'
    (tmp_path / "model").mkdir()
    (tmp_path / "model/Format-Serving").symlink_to(one_text.saved_model)
    version = tmp_path / "serving/tiny/1"
    version.mkdir(parents=True)
    pushed.set_int_custom_property("pushed", 1)
    pushed.set_string_custom_property("pushed_destination", str(version))
    return {"model": [model], "pushed_model": [pushed], "transformed_examples": [examples]}


def test_it_is_held_to_the_served_model_and_shipped(artifacts, one_text, tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "toy", Format("tests.support.toy_format", "ToyExport"))
    exported, metrics = ExportedModel(), Metrics()
    exported.uri, metrics.uri = str(tmp_path / "exported"), str(tmp_path / "metrics")
    settings = Settings(variants=["float32", "rounded"]).as_json() | {
        "rows": 8,
        "text_columns": one_text.columns,
        "task": "single_label",
        "checkpoint_dir": str(one_text.checkpoint),
        "max_length": MAX_LENGTH,
    }
    properties = {"format": "toy", "settings": json.dumps(settings)}
    Executor().Do(artifacts, {"exported_model": [exported], "metrics": [metrics]}, properties)
    report = read_report(tmp_path / "exported")
    kept, refused = report.variants
    assert (kept.reason, kept.figures.value, kept.agreement) == ("", 1.0, 1.0)
    assert refused.reason.startswith("accuracy ")
    assert exported.get_string_custom_property(REFUSED) == f"toy rounded: {refused.reason}"
    shipped = tmp_path / "serving/tiny.exports/1/toy"
    assert exported.get_string_custom_property(DESTINATION) == str(shipped)
    assert (shipped / "columns.txt").read_text() == "text"
    assert (shipped / "float32/saved_model.pb").is_file()
    assert not (shipped / "rounded/saved_model.pb").exists()
    assert np.isclose(metrics.get_float_custom_property("float32.accuracy"), 1.0)
