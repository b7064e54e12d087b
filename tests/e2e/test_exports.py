"""Exports of a pushed model: shipped with it, rejected by their own gate, shown in the run's result.

The encoder's embeddings are so small that float16 has only zero for them; LayerNorm makes them as large as any,
so in float32 the model learns as ever. That one variant has to be refused, then, and the others not.

TensorFlow.js takes part in `make test-full`, where its environment could be set up.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from components.exports.tfjs import environment as tfjs_environment
from tests.e2e.test_pipeline import CONFIG, Run, call, run, versions
from tests.support.full import FULL
from tests.support.tiny_model import rows, write_checkpoint

pytestmark = pytest.mark.e2e

TRAINING = ("train.max_steps=100", "train.freeze.embeddings=true")  # an update would make them large
ONNX = "export.onnx.variants=[float32]"
BOTH = (*TRAINING, ONNX, "export.tflite.variants=[float32, float16]")
ACCEPTED = (*TRAINING, ONNX, "export.tflite.variants=[float32]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows(600)])
    imported = call(folder, "import", "rows.csv", "--text", "text", "--label", "label", "--out", "data")
    assert imported.returncode == 0, imported.stderr
    _shrink_embeddings(write_checkpoint(folder / "encoder"))
    (folder / "tiny.yaml").write_text(CONFIG, encoding="utf-8")
    return folder


def _shrink_embeddings(encoder: Path) -> None:
    file = str(encoder / "model.safetensors")
    small = {
        name: value * np.float32(1e-8 if name.endswith("_embeddings.weight") else 1)
        for name, value in load_file(file).items()
    }
    save_file(small, file, metadata={"format": "pt"})
    config = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-30}))


@pytest.fixture(scope="module")
def with_tfjs() -> bool:
    return FULL and tfjs_environment.is_ready() and tfjs_environment.find_node() is not None


@pytest.fixture
def needs_tfjs(with_tfjs: bool) -> None:
    if not with_tfjs:
        pytest.skip("make test-full, where the TensorFlow.js environment is set up (`make tfjs`)")


@pytest.fixture(scope="module")
def story(folder: Path, with_tfjs: bool) -> dict[str, Run]:
    both = (*BOTH, *(["export.tfjs={variants: [float16], max_drop: 0.0}"] if with_tfjs else []))
    accepted = (*ACCEPTED, *(["export.tfjs.variants=[float32]"] if with_tfjs else []))
    told = {"refused": run(folder, *both), "again": run(folder, *both)}
    shipped = folder / "serving/tiny.exports/1"
    told["accepted"] = run(folder, *accepted)
    told["cached"] = run(folder, *accepted)
    (shipped / "onnx" / "export.json").unlink()
    told["lost"] = run(folder, *accepted)
    return told


def exports_of(done: Run) -> dict[str, dict]:
    return {export["format"]: export for export in done.result["exports"]}


def test_a_variant_that_does_not_answer_is_refused_and_the_version_stays_pushed(story, folder):
    result = story["refused"].result
    assert (story["refused"].exit_code, result["status"], result["pushed"]) == (3, "refused", True)
    assert result["reason"].startswith("version 1 is pushed, but not exported: ")
    assert result["reason"].endswith("tflite float16: an answer is not a number")
    assert versions(folder) == ["1"]


def test_refused_variants_are_not_shipped_and_the_others_are(story, folder):
    shipped = folder / "serving/tiny.exports/1"
    report = exports_of(story["refused"])["tflite"]
    assert [(v["name"], bool(v["reason"])) for v in report["variants"]] == [
        ("float32", False),
        ("float16", True),
    ]
    assert not list(shipped.rglob("*float16*"))
    assert (shipped / "tflite/model.float32.tflite").is_file()
    assert (shipped / "onnx/model.float32.onnx").is_file()
    assert report["destination"] == str(shipped / "tflite")


@pytest.mark.usefixtures("needs_tfjs")
def test_a_variant_of_tensorflow_js_whose_metric_drops_is_refused_with_both_values(story):
    said = (
        r"exported: tfjs float16: accuracy (0\.\d{4}) is 0\.\d{4} below the served model's (0\.\d{4}), "
        r"at most 0 is allowed \(max_drop\); tflite"
    )
    found = re.search(said, story["refused"].result["reason"])
    assert found, story["refused"].result["reason"]
    report = exports_of(story["refused"])["tfjs"]
    [float16] = report["variants"]
    assert [float(value) for value in found.groups()] == [
        round(float16["figures"]["value"], 4),
        round(report["served"]["value"], 4),
    ]
    assert report["destination"] == ""


@pytest.mark.usefixtures("needs_tfjs")
def test_tensorflow_js_is_shipped_beside_the_others_with_its_page_and_stands_in_the_summary(story, folder):
    shipped = folder / "serving/tiny.exports/1"
    assert sorted(path.name for path in shipped.iterdir()) == ["onnx", "tfjs", "tflite"]
    for name in ("index.html", "tokenizer_data.json", "tfjs/tfjs-backend-wasm.wasm", "float32/model.json"):
        assert (shipped / "tfjs" / name).is_file()
    assert not (shipped / "tfjs/float16").exists()
    report = exports_of(story["accepted"])["tfjs"]
    assert json.loads((shipped / "tfjs/export.json").read_text()) == report
    value = f"{report['variants'][0]['figures']['value']:.4f}"
    assert re.search(rf"tfjs float32 .* accuracy +{value} +\+0\.0000", story["accepted"].stderr)
    assert f"Exported as float32: {shipped / 'tfjs'}" in story["accepted"].stderr


def test_figures_of_each_variant_stand_beside_those_of_the_served_model(story):
    for report in exports_of(story["accepted"]).values():
        served, [float32] = report["served"], report["variants"]
        assert report["rows"] > 30
        assert float32["difference"] == 0.0
        assert float32["agreement"] == 1.0
        assert float32["max_probability_difference"] < 1e-4
        assert float32["figures"]["value"] == served["value"]
        assert set(float32["figures"]["milliseconds"]) == set(served["milliseconds"]) == {"1", "32"}
        assert float32["figures"]["bytes"] > 10_000


def test_size_is_that_of_the_shipped_file_with_its_metadata(story):
    report = exports_of(story["accepted"])["tflite"]
    shipped = Path(report["destination"], "model.float32.tflite").stat().st_size
    assert report["variants"][0]["figures"]["bytes"] == shipped


def test_a_refused_export_is_tried_again_and_nothing_else_is(story, with_tfjs):
    assert story["again"].exit_code == 3
    ran = [node for node, state in story["again"].states().items() if state != "cached"]
    assert ran == [*(["TFJSExport"] if with_tfjs else []), "TFLiteExport"]


def test_accepted_exports_are_cached(story):
    assert story["accepted"].exit_code == 0
    assert (story["cached"].exit_code, story["cached"].result["status"]) == (0, "cached")
    assert set(story["cached"].states().values()) == {"cached"}
    assert exports_of(story["cached"]) == exports_of(story["accepted"])


def test_exports_that_were_removed_by_hand_are_made_again(story, folder):
    ran = [node for node, state in story["lost"].states().items() if state != "cached"]
    assert ran == ["ONNXExport"]
    told = json.loads((folder / "serving/tiny.exports/1/onnx/export.json").read_text())
    assert [variant["name"] for variant in told["variants"]] == ["float32"]


def test_the_shipped_example_gives_the_label_that_the_served_model_gives(story, folder):
    text = "what is the old horse ?"
    asked = subprocess.run(
        [sys.executable, str(folder / "serving/tiny.exports/1/tflite/classify.py"), text],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert asked.returncode == 0, asked.stderr
    assert _served_label(folder / "serving/tiny/1", text) in asked.stdout


def _served_label(version: Path, text: str) -> str:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  # registers the ops of the graph

    outputs = tf.saved_model.load(str(version)).signatures["serving_default"](text=tf.constant([text]))
    return outputs["label"].numpy()[0].decode()
