"""TensorFlow.js models, run by Node.js on the WebAssembly backend and in a real browser."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.exports.tfjs import environment as tfjs_environment
from components.exports.tfjs import export as tfjs
from models import features
from tests.components.exports.conftest import batch, served, ship_tfjs
from tests.components.exports.tfjs.demo_page import classify, ready, static_server
from tests.support.tiny_export import LABELS, MAX_LENGTH, TinyExport, serve

TEXTS = [
    "how far is rome?",
    "the dog",
    "",
    "naïve Café 中文 \x00 한국어 [SEP] cat",
    "👩‍💻 ΣΊΣΥΦΟΣ" + "x" * 101,
    "say one " * 40,
]


pytestmark = pytest.mark.usefixtures("tfjs_is_ready")


@pytest.fixture(scope="module")
def out(one_text: TinyExport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is shipped of the tiny model: float32 and the page."""
    return ship_tfjs(one_text, ("float32",), tmp_path_factory.mktemp("tfjs"))


@pytest.fixture(scope="module")
def out_of_pairs(text_pairs: TinyExport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ship_tfjs(text_pairs, ("float32",), tmp_path_factory.mktemp("tfjs_pairs"))


def test_the_shipped_folder_is_complete_and_holds_nothing_of_a_refused_variant(one_text, out):
    (out / "uint8").mkdir()
    (out / "uint8" / "model.json").write_text("{}")
    accepted = ["float32"]
    tfjs.ship_beside(one_text.saved_model, one_text.checkpoint, MAX_LENGTH, one_text.columns, accepted, out)
    pages = ["classifier.js", "demo.css", "demo.js", "index.html", "tokenizer.js"]
    data = ["README.md", "classifier.json", "export.json", "tokenizer_data.json"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*pages, *data, *accepted, "tfjs"])
    assert sorted(path.name for path in (out / "tfjs").iterdir()) == [
        "LICENSE",
        "tf-backend-wasm.min.js",
        "tf-converter.min.js",
        "tf-core.min.js",
        "tfjs-backend-wasm-simd.wasm",
        "tfjs-backend-wasm-threaded-simd.wasm",
        "tfjs-backend-wasm.wasm",
    ]


def test_float32_answers_as_the_served_model_does_whatever_the_shape(one_text, out):
    with tfjs.opened(out, "float32") as opened:
        for rows, tokens in ((1, 2), (3, 7), (64, 16), (2, 5)):
            asked = batch(rows, tokens)
            answers = opened.predict(asked)
            assert answers.dtype == np.float32
            np.testing.assert_allclose(answers, served(one_text, asked), rtol=0, atol=1e-5)


def test_text_pairs_are_answered_with_their_token_types(text_pairs, out_of_pairs):
    asked = batch(9, 12, text_pairs=True)
    with tfjs.opened(out_of_pairs, "float32") as opened:
        np.testing.assert_allclose(opened.predict(asked), served(text_pairs, asked), rtol=0, atol=1e-5)


def test_times_are_taken_in_node(out):
    with tfjs.opened(out, "float32") as opened:
        seconds = opened.seconds(batch(2, 4), 3)
    assert len(seconds) == 3
    assert min(seconds) > 0


def test_a_missing_weight_file_is_told_in_one_line(out, tmp_path):
    (tmp_path / "float32").mkdir()
    (tmp_path / "float32" / "model.json").write_bytes((out / "float32" / "model.json").read_bytes())
    with (
        pytest.raises(tfjs.TFJSError, match="Node cannot run the model: ENOENT") as told,
        tfjs.opened(tmp_path, "float32"),
    ):
        pass
    assert "\n" not in str(told.value)


def test_wrong_inputs_are_an_error_and_the_next_batch_is_answered(out):
    with tfjs.opened(out, "float32") as opened:
        with pytest.raises(tfjs.TFJSError, match="Node cannot run the model"):
            opened.predict({features.INPUT_IDS: np.ones((1, 2), np.int32)})
        assert opened.predict(batch(2, 3)).shape == (2, len(LABELS))


def test_a_node_that_dies_is_told_in_one_line(out):
    with tfjs.opened(out, "float32") as opened:
        os.kill(child_of_this_process(), signal.SIGKILL)
        with pytest.raises(tfjs.TFJSError, match="Node stopped: exit code -9"):
            opened.predict(batch(1, 2))


def test_a_node_that_hangs_is_given_up(out, monkeypatch):
    with tfjs.opened(out, "float32") as opened:
        os.kill(child_of_this_process(), signal.SIGSTOP)
        monkeypatch.setattr(tfjs, "ANSWER_SECONDS", 0.5)
        with pytest.raises(tfjs.TFJSError, match="Node did not answer within 0 s"):
            opened.predict(batch(1, 2))


def child_of_this_process() -> int:
    """Process id of the one Node that this process started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid() and b"runner.js" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    (pid,) = found
    return pid


def test_a_model_with_an_op_that_tensorflow_js_lacks_is_refused_by_its_name(tmp_path):
    module = tf.Module()
    ids = tf.TensorSpec([None, None], tf.int32, name=features.INPUT_IDS)
    module.f = tf.function(
        lambda input_ids: {features.PROBABILITIES: tf.math.lgamma(tf.cast(input_ids, tf.float32))},
        input_signature=[ids],
    )
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.f)
    with pytest.raises(tfjs.TFJSError) as told:
        tfjs.run_converter(tmp_path / "model", "float32", tmp_path / "out", tfjs_environment.environment())
    assert str(told.value) == (
        "the converter failed: ValueError: Unsupported Ops in the model before optimization Lgamma"
    )


def check(told: list[tuple[str, dict[str, float]]], served: dict[str, np.ndarray]) -> None:
    """Raises unless the page gives the served model's answers."""
    labels = [label.decode() for label in served[features.PREDICTED_LABEL]]
    assert [label for label, _ in told] == [next(iter(shown)) for _, shown in told] == labels
    shown = [[bars[label] for label in LABELS] for _, bars in told]
    np.testing.assert_allclose(shown, served[features.PROBABILITIES], rtol=0, atol=1e-4)


def test_the_page_gives_the_labels_and_probabilities_of_the_served_model(page, one_text, out):
    answers = serve(one_text.saved_model, features.SERVING_SIGNATURE, text=TEXTS)
    with static_server(out) as url:
        page.requested.clear()
        ready(page, url)
        assert page.run("document.getElementById('about').textContent") == (
            "Version 7 · 3 labels · 0.1 MB of weights as float32 · accuracy 87.5% on 42 rows"
        )
        check(classify(page, [[text] for text in TEXTS]), answers)
        assert "cut: the model reads 16 tokens" in page.run("document.getElementById('details').textContent")
        assert [address for address in page.requested if not address.startswith((url, "data:"))] == []


def test_the_page_takes_text_pairs(page, text_pairs, out_of_pairs):
    first, second = ["how far is rome?", "one " * 20, ""], ["the dog", "cat " * 9, "lima"]
    answers = serve(
        text_pairs.saved_model,
        features.SERVING_SIGNATURE,
        **dict(zip(text_pairs.columns, (first, second), strict=True)),
    )
    with static_server(out_of_pairs) as url:
        ready(page, url)
        check(classify(page, list(zip(first, second, strict=True))), answers)


def test_the_page_says_so_when_the_model_cannot_be_loaded(page, out, tmp_path):
    for path in out.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "float32").unlink()
    with static_server(tmp_path) as url:
        page.go(url)
        page.wait_for("document.body && document.body.dataset.state === 'failed'")
        told = page.run("document.querySelector('[role=alert]').textContent")
        assert told.startswith("The model cannot be used: ")
        assert "float32/model.json" in told
        assert page.run("document.getElementById('classify').disabled") is True
