"""What is shipped beside a model of each tokenizer family gives raw texts the answers of the server."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path

import numpy as np
import pytest

from components.exports.onnx import export as onnx
from components.exports.tflite import export as tflite
from models.checkpoints.classifier import load_classifier
from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.full import only_full
from tests.support.sentencepiece import write_sentencepiece_tokenizer
from tests.support.tiny_encoders import with_own_config
from tests.support.tiny_export import LABELS, MAX_LENGTH, TinyExport, export_tiny, make_decided, serve

FORMATS = {"tflite": tflite, "onnx": onnx}
# Family -> an encoder, and what writes its tokenizer.
FAMILIES = {
    "byte_bpe": ("roberta", functools.partial(write_byte_bpe_tokenizer, size=400)),
    "sentencepiece": ("xlm-roberta", functools.partial(write_sentencepiece_tokenizer, size=900)),
}
TEXTS = ["The cat's mat, isn't it?", "  é 中文 <mask> 😀", "", "one two three four five six seven eight nine"]


@pytest.fixture(scope="module", params=["byte_bpe", pytest.param("sentencepiece", marks=only_full)])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    model_type, write = FAMILIES[request.param]
    return export_tiny(tmp_path_factory.mktemp(model_type), model_type=model_type, write_tokenizer=write)


@pytest.mark.parametrize("kind", FORMATS)
def test_shipped_example_answers_as_the_server(kind: str, exported: TinyExport, tmp_path: Path) -> None:
    form = FORMATS[kind]
    form.convert(exported.saved_model, "float32", tmp_path)
    form.ship_beside(
        exported.saved_model, exported.checkpoint, MAX_LENGTH, exported.columns, ["float32"], tmp_path
    )
    wanted = serve(exported.saved_model, "serving_default", text=TEXTS)["probabilities"]
    classifier = runpy.run_path(str(tmp_path / "classify.py"))["Classifier"](
        tmp_path / f"model.float32.{kind}"
    )
    got = [[answer["probabilities"][label] for label in LABELS] for answer in classifier(TEXTS)]
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert len(np.unique(np.round(wanted, 4), axis=0)) == len(TEXTS)


@only_full
def test_xlnet_gives_raw_texts_the_answers_of_its_class_for_rows_that_are_padded_on_the_left(
    tmp_path: Path,
) -> None:
    import tensorflow as tf
    from transformers import AutoTokenizer

    write = functools.partial(write_sentencepiece_tokenizer, name="XLNetTokenizer", size=900)
    exported = export_tiny(tmp_path, model_type="xlnet", write_tokenizer=write)
    tokenizer = AutoTokenizer.from_pretrained(exported.checkpoint)
    padded = tokenizer(TEXTS, max_length=MAX_LENGTH, truncation=True, padding=True, return_tensors="tf")
    assert padded["token_type_ids"].numpy()[2, 0] == 3  # padding
    model = load_classifier(exported.checkpoint, LABELS, seed=0)
    make_decided(model, pairs=False)
    own_class = with_own_config(model, vocab_size=model.config.vocab_size)
    wanted = tf.nn.softmax(own_class(dict(padded)).logits)
    got = serve(exported.saved_model, "serving_default", text=TEXTS)["probabilities"]
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert len(np.unique(np.round(got, 4), axis=0)) == len(TEXTS)
