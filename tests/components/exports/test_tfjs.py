"""TensorFlow.js: converted, answered by Node on the WebAssembly backend, and in a real browser."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components import features
from components.exports import tfjs, tfjs_environment
from components.exports.report import ExportReport, Figures, Variant, write_report
from tests.components.exports.chromium import Page, chromium, find_chromium
from tests.components.exports.conftest import batch
from tests.tiny_export import LABELS, MAX_LENGTH, TinyExport, serve

TEXTS = [
    "how far is rome?",
    "the dog",
    "",
    "naïve Café 中文 \x00 한국어 [SEP] cat",
    "👩‍💻 ΣΊΣΥΦΟΣ" + "x" * 101,
    "say one " * 40,
]


@pytest.fixture(scope="module", autouse=True)
def needs_the_environment() -> None:
    if not tfjs_environment.is_ready() or tfjs_environment.find_node() is None:
        pytest.skip("the TensorFlow.js environment is not set up (`make tfjs`; needs the network once)")


@pytest.fixture(scope="module")
def out(one_text: TinyExport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is shipped of the tiny model: float32, float16 and the page."""
    return shipped(one_text, ("float32", "float16"), tmp_path_factory.mktemp("tfjs"))


@pytest.fixture(scope="module")
def out_of_pairs(text_pairs: TinyExport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shipped(text_pairs, ("float32",), tmp_path_factory.mktemp("tfjs_pairs"))


def shipped(model: TinyExport, variants: Sequence[str], folder: Path) -> Path:
    for variant in variants:
        tfjs.convert(model.saved_model, variant, folder)
    tfjs.ship_beside(model.saved_model, model.checkpoint, MAX_LENGTH, model.columns, variants, folder)
    tried = [Variant(name, "", Figures(123_456, 0.875, {"1": 1.0}), 0.0, 0.0, 1.0) for name in variants]
    write_report(folder, ExportReport("tfjs", "accuracy", 42, tried[0].figures, tried, "7"))
    return folder


def served(model: TinyExport, tokens: dict[str, np.ndarray]) -> np.ndarray:
    given = {name: value.astype(np.int64) for name, value in tokens.items()}
    return serve(model.saved_model, features.TOKENS_SIGNATURE, **given)[features.PROBABILITIES]


def test_the_shipped_folder_is_complete_and_holds_nothing_of_a_refused_variant(one_text, out):
    (out / "uint8").mkdir()
    (out / "uint8" / "model.json").write_text("{}")
    accepted = ["float32", "float16"]
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


def test_half_precision_is_half_the_size_and_its_mask_stays_finite(one_text, out):
    whole, half = (
        sum(path.stat().st_size for path in tfjs.files(out, variant) if path.suffix == ".bin")
        for variant in ("float32", "float16")
    )
    assert half < 0.6 * whole
    tokens = batch(8, 9)
    with tfjs.opened(out, "float16") as opened:
        assert np.abs(opened.predict(tokens) - served(one_text, tokens)).max() < 0.01


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


# --- the page -------------------------------------------------------------------------------------


@contextlib.contextmanager
def static_server(folder: Path) -> Iterator[str]:
    """Any static server: Python's own."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with chromium(program) as found:
        yield found


def ready(page: Page, url: str) -> None:
    page.go(url)
    page.wait_for("document.body && document.body.dataset.state === 'ready'")


def classify(page: Page, *texts: str) -> dict[str, float]:
    """What a visitor does; label -> probability as the page shows them, most probable first."""
    page.run(
        f"""document.getElementById("bars").replaceChildren();
        {json.dumps(texts)}.forEach((text, i) => document.getElementById(`text-${{i}}`).value = text);
        document.getElementById("form").requestSubmit();"""
    )
    rows = page.wait_for(
        """!document.getElementById("classify").disabled &&
        [...document.querySelectorAll("#bars tr")].map(
          (row) => [row.querySelector("th").textContent, Number(row.dataset.probability)])"""
    )
    return dict(rows)


def check(page: Page, shown: dict[str, float], label: bytes, wanted: np.ndarray) -> None:
    """Raises unless the page says what the served model says."""
    assert next(iter(shown)) == page.run("document.getElementById('label').textContent") == label.decode()
    np.testing.assert_allclose([shown[name] for name in LABELS], wanted, rtol=0, atol=1e-4)


def test_the_page_gives_the_labels_and_probabilities_of_the_served_model(page, one_text, out):
    answers = serve(one_text.saved_model, features.SERVING_SIGNATURE, text=TEXTS)
    with static_server(out) as url:
        page.requested.clear()
        ready(page, url)
        assert page.run("document.getElementById('about').textContent") == (
            "Version 7 · 3 labels · 0.1 MB of weights as float32 · accuracy 87.5% on 42 rows"
        )
        for text, label, wanted in zip(TEXTS, answers["label"], answers["probabilities"], strict=True):
            check(page, classify(page, text), label, wanted)
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
        asked = zip(first, second, answers["label"], answers["probabilities"], strict=True)
        for one, other, label, wanted in asked:
            check(page, classify(page, one, other), label, wanted)


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
