"""Tiny exported models, made once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from components.exports.onnx import export as onnx
from components.exports.report import ExportReport, Figures, Variant, write_report
from components.exports.tfjs import environment as tfjs_environment
from components.exports.tfjs import export as tfjs
from components.exports.tflite import export as tflite
from tests.support.chromium import Page, chromium, find_chromium
from tests.support.tiny_export import MAX_LENGTH, TinyExport, export_tiny, serve
from tests.support.unicode_texts import vocabulary

FORMATS = {"tflite": tflite, "onnx": onnx}


@pytest.fixture(scope="session")
def one_text(tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    """Knows characters of many scripts, so that texts become many different ids."""
    return export_tiny(tmp_path_factory.mktemp("one_text"), words=vocabulary())


@pytest.fixture(scope="session")
def text_pairs(tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    return export_tiny(tmp_path_factory.mktemp("text_pairs"), pairs=True, words=vocabulary())


@pytest.fixture(scope="session")
def shipped(
    one_text: TinyExport, text_pairs: TinyExport, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """("onnx", pairs=True) -> folder as it is shipped: every variant, of the model for pairs only float32."""

    @functools.cache
    def ship(kind: str, pairs: bool = False) -> Path:
        out = tmp_path_factory.mktemp(kind)
        model = text_pairs if pairs else one_text
        variants = ["float32"] if pairs else FORMATS[kind].VARIANTS
        for variant in variants:
            FORMATS[kind].convert(model.saved_model, variant, out)
        FORMATS[kind].ship_beside(
            model.saved_model, model.checkpoint, MAX_LENGTH, model.columns, variants, out
        )
        return out

    return ship


@pytest.fixture(scope="session")
def tfjs_is_ready() -> None:
    if not tfjs_environment.is_ready() or tfjs_environment.find_node() is None:
        pytest.skip("the TensorFlow.js environment is not set up (`make tfjs`; needs the network once)")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with chromium(program) as found:
        yield found


def ship_tfjs(model: TinyExport, variants: Sequence[str], folder: Path) -> Path:
    """The folder as it is shipped; the figures of its report are made up."""
    for variant in variants:
        tfjs.convert(model.saved_model, variant, folder)
    tfjs.ship_beside(model.saved_model, model.checkpoint, MAX_LENGTH, model.columns, variants, folder)
    tried = [Variant(name, "", Figures(123_456, 0.875, {"1": 1.0}), 0.0, 0.0, 1.0) for name in variants]
    write_report(folder, ExportReport("tfjs", "accuracy", 42, tried[0].figures, tried, "7"))
    return folder


def served(model: TinyExport, tokens: Mapping[str, np.ndarray]) -> np.ndarray:
    """Probabilities by the signature of the SavedModel, float32 [rows, classes]."""
    asked = {name: values.astype(np.int64) for name, values in tokens.items()}
    return np.asarray(serve(model.saved_model, "serve_tokens", **asked)["probabilities"])


def batch(rows: int, tokens: int, text_pairs: bool = False, seed: int = 0) -> dict[str, np.ndarray]:
    """Ids of rows of `tokens` and fewer, padded."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, tokens + 1, rows)
    lengths[0] = tokens
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int32)
    ids = rng.integers(5, 60, (rows, tokens)).astype(np.int32) * mask
    types = (np.arange(tokens) >= lengths[:, None] // 2).astype(np.int32) * mask
    return {
        "input_ids": ids,
        "attention_mask": mask,
        **({"token_type_ids": types} if text_pairs else {}),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made
