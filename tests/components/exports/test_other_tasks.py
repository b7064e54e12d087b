"""Models of other tasks than single labels in TFLite and ONNX, and the answers of the shipped program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from components.exports import classify
from components.exports.onnx import export as onnx
from components.exports.tflite import export as tflite
from tests.support.tiny_export import LABELS, MAX_LENGTH, TEXT, TinyExport, export_tiny, serve

FORMATS = {"tflite": tflite, "onnx": onnx}
TEXTS = ["how many cats", "the old dog of rome", "say three", "?"]
THRESHOLDS = {"offsets": [0.5, -0.5, 0.0], "thresholds": [0.36, 0.3, 0.49]}
SCALE = {"mean": [5000.0], "deviation": [300.0]}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    return export_tiny(tmp_path_factory.mktemp("several"), task="multi_label", constants=THRESHOLDS)


@pytest.fixture(scope="module")
def number(tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    return export_tiny(tmp_path_factory.mktemp("number"), task="regression", constants=SCALE)


def shipped(exported: TinyExport, kind: str, out: Path) -> classify.Classifier:
    FORMATS[kind].convert(exported.saved_model, "float32", out)
    given = (exported.saved_model, exported.checkpoint, MAX_LENGTH, exported.columns, ["float32"], out)
    FORMATS[kind].ship_beside(*given)
    return classify.Classifier(out / f"model.float32.{kind}")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_labels_are_those_of_the_served_model(several: TinyExport, kind: str, tmp_path: Path) -> None:
    answers = shipped(several, kind, tmp_path)(TEXTS)
    wanted = serve(several.saved_model, "serving_default", **{TEXT: TEXTS})
    labels = [[name.decode() for name in row if name] for row in wanted["labels"]]
    assert [answer["labels"] for answer in answers] == labels
    assert sorted(map(len, labels)) == [1, 1, 2, 3]
    probabilities = [list(answer["probabilities"].values()) for answer in answers]
    np.testing.assert_allclose(probabilities, wanted["probabilities"], atol=1e-5)
    assert list(answers[0]["probabilities"]) == LABELS
    assert json.loads((tmp_path / "answer.json").read_text()) == THRESHOLDS


@pytest.mark.parametrize("kind", FORMATS)
def test_the_number_is_that_of_the_served_model(number: TinyExport, kind: str, tmp_path: Path) -> None:
    answers = shipped(number, kind, tmp_path)(TEXTS)
    wanted = serve(number.saved_model, "serving_default", **{TEXT: TEXTS})["value"]
    assert [answer["name"] for answer in answers] == LABELS[:1] * 4
    np.testing.assert_allclose([answer["value"] for answer in answers], wanted, rtol=1e-5)
    assert np.ptp(wanted) > 1.0
    assert "- Output: `value`, float32 [batch]." in (tmp_path / "README.md").read_text()
