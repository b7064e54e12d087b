"""The shipped folder on TREC's own questions, in Node.js and in a browser, compared with the real server's answers.

The encoder is tiny and random; its vocabulary is that of all-MiniLM-L6-v2.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.exports.tfjs import environment as tfjs_environment
from components.exports.tfjs import export as tfjs
from components.project import PROJECT_DIR
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import checkpoint_folder
from tests.components.exports.conftest import ship_tfjs
from tests.components.exports.tfjs.demo_page import classify, ready, static_server
from tests.components.transform.test_real_datasets import real_texts
from tests.support.full import only_full
from tests.support.model_server import push, running
from tests.support.tiny_export import LABELS, TinyExport, export_tiny
from tests.support.tiny_model import SPECIAL

pytestmark = [pytest.mark.real, only_full, pytest.mark.usefixtures("tfjs_is_ready")]
Answers = tuple[list[str], np.ndarray]  # labels, and probabilities [rows, classes]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    if not (PROJECT_DIR / "checkpoints").exists() or not (PROJECT_DIR / "datasets/trec").exists():
        pytest.skip("made by `make data`")
    return [text.decode() for text in real_texts("trec", "eval")]


@pytest.fixture(scope="module")
def model(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    recipe, recipes = CheckpointSettings(recipe="all-MiniLM-L6-v2"), PROJECT_DIR / "data/checkpoints"
    checkpoint = checkpoint_folder(recipe, recipes, PROJECT_DIR / "checkpoints")
    tokens = (checkpoint / "vocab.txt").read_text(encoding="utf-8").splitlines()
    words = [token for token in tokens if token not in SPECIAL]
    return export_tiny(tmp_path_factory.mktemp("real_vocabulary"), words=words)


@pytest.fixture(scope="module")
def folder(model: TinyExport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ship_tfjs(model, tfjs.VARIANTS, tmp_path_factory.mktemp("tfjs"))


@pytest.fixture(scope="module")
def served(model: TinyExport, texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The server's answers."""
    serving_dir = tmp_path_factory.mktemp("serving") / "models"
    push(model.saved_model, serving_dir)
    with running(serving_dir, 1) as server:
        told = server.predict({"instances": texts}).json()["predictions"]
    shares = [dict(zip(row["all_classes"], row["probabilities"], strict=True)) for row in told]
    return answers(zip((row["label"] for row in told), shares, strict=True))


@pytest.fixture(scope="module")
def in_node(folder: Path, texts: list[str]) -> dict[str, Answers]:
    """Variant -> what classifier.js answers."""
    program = Path(__file__).with_name("classify_shipped.js")
    done = subprocess.run(
        [tfjs_environment.environment().node, str(program), str(folder)],
        input=json.dumps({"variants": tfjs.VARIANTS, "texts": texts}),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["backend"] == "wasm"
    return {variant: answers(map(in_order, rows)) for variant, rows in told["answers"].items()}


def in_order(row: dict[str, Any]) -> tuple[str, dict[str, float]]:
    return row["label"], {entry["label"]: entry["probability"] for entry in row["probabilities"]}


def answers(rows: Iterable[tuple[str, dict[str, float]]]) -> Answers:
    labels, shares = zip(*rows, strict=True)
    return list(labels), np.array([[row[name] for name in LABELS] for row in shares])


def test_the_questions_are_those_of_the_eval_split_and_get_different_labels(texts, served):
    assert len(texts) == 497
    assert min(served[0].count(label) for label in LABELS) > 50


def clear(labels, served):
    """Labels of the rows without near ties, which rounding on another processor could decide differently."""
    best = np.sort(served[1], axis=1)
    chosen = [label for label, gap in zip(labels, best[:, -1] - best[:, -2], strict=True) if gap > 1e-4]
    assert len(chosen) > 480
    return chosen


def test_node_gives_the_label_and_the_probabilities_of_the_server(in_node, served):
    labels, probabilities = in_node["float32"]
    assert clear(labels, served) == clear(served[0], served)
    np.testing.assert_allclose(probabilities, served[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("variant", "largest_difference", "equal_labels"), [("float16", 0.005, 0.99), ("uint8", 0.05, 0.9)]
)
def test_smaller_weights_change_the_probabilities_a_little(
    variant, largest_difference, equal_labels, in_node, served
):
    # The model is untrained: its labels are almost equally probable, so small changes are visible.
    labels, probabilities = in_node[variant]
    assert np.abs(probabilities - served[1]).max() < largest_difference
    assert np.mean([one == other for one, other in zip(labels, served[0], strict=True)]) > equal_labels


def test_smaller_weights_are_smaller_files(folder):
    float32, float16, uint8 = (
        sum(path.stat().st_size for path in tfjs.files(folder, variant) if path.suffix == ".bin")
        for variant in ("float32", "float16", "uint8")
    )
    assert float16 < 0.51 * float32
    assert uint8 < 0.26 * float32


def test_the_page_gives_the_label_and_the_probabilities_of_the_server(page, folder, texts, served):
    with static_server(folder) as url:
        ready(page, url)
        labels, probabilities = answers(classify(page, [[text] for text in texts]))
    assert clear(labels, served) == clear(served[0], served)
    np.testing.assert_allclose(probabilities, served[1], rtol=0, atol=1e-4)
