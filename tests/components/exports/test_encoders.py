"""Every family of encoders is served from raw text and exported, with the answers of its forward pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.exports.onnx import export as onnx
from components.exports.tflite import export as tflite
from models.encoders.families import FAMILIES
from models.features import TOKEN_TYPE_IDS
from tests.components.exports.conftest import batch, served
from tests.support.full import only_full
from tests.support.tiny_export import TinyExport, export_tiny, serve

FORMATS = {"tflite": tflite, "onnx": onnx}
# MPNet has the only op that BERT lacks and no other family has; BERT has tests of its own.
QUICK = "mpnet"
OTHERS = [
    pytest.param(name, marks=() if name == QUICK else only_full)
    for name in FAMILIES
    if FAMILIES[name].has_own_forward and name != "bert"
]
TEXTS = ["how many cats", "the old dog of rome", "say three", "?"]


@pytest.fixture(scope="module", params=OTHERS)
def model_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def exported(model_type: str, tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    """For pairs: the tokenizer gives token types, which not every encoder takes."""
    return export_tiny(tmp_path_factory.mktemp(model_type), pairs=True, model_type=model_type)


@pytest.fixture(scope="module")
def token_types(model_type: str) -> bool:
    return TOKEN_TYPE_IDS in FAMILIES[model_type].facts().INPUTS


def test_raw_texts_get_the_answers_of_their_tokens(exported: TinyExport, token_types: bool) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(exported.checkpoint)
    tokens = tokenizer(TEXTS, TEXTS[::-1], max_length=16, truncation=True, padding=True, return_tensors="np")
    names = ["input_ids", "attention_mask", *([TOKEN_TYPE_IDS] if token_types else [])]
    wanted = served(exported, {name: tokens[name] for name in names})
    got = serve(exported.saved_model, "serving_default", text=TEXTS, other=TEXTS[::-1])["probabilities"]
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert len(np.unique(got.round(4), axis=0)) == len(TEXTS)


@pytest.mark.parametrize("kind", FORMATS)
def test_exports_answer_as_the_served_signature(
    kind: str, exported: TinyExport, token_types: bool, tmp_path: Path
) -> None:
    FORMATS[kind].convert(exported.saved_model, "float32", tmp_path)
    with FORMATS[kind].opened(tmp_path, "float32") as opened:
        for seed, (rows, tokens) in enumerate([(1, 5), (8, 16), (2, 2)]):
            asked = batch(rows, tokens, text_pairs=token_types, seed=seed)
            np.testing.assert_allclose(opened.predict(asked), served(exported, asked), atol=1e-5)
