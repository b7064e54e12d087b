"""classify.py as it is shipped with a model, alone in its folder, on raw text, compared with the served model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.exports.shipped_files import write_tokenizer
from components.project import PROJECT_DIR
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import checkpoint_folder
from models.tokenizers.family import load_spec
from tests.components.transform.test_real_datasets import real_texts
from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.tiny_export import serve
from tests.support.tokenizer_folders import SPECIAL, WORDS, vocabulary_file, write_folder
from tests.support.tokenizer_folders import TEXTS as TOKEN_TEXTS
from tests.support.tokenizers import token_ids
from tests.support.unicode_texts import generated_texts

VARIANTS = {"tflite": ("float32", "float16", "int8"), "onnx": ("float32", "int8")}
TEXTS = [
    "How far is the moon?",
    "",
    " \t\n",
    "who [SEP] was [CLS][MASK] [UNK] [PAD] [sep] [ SEP ]",
    "İstanbul naïve Ａｂｃ 한국어 日本語 שלום a\x00b\ufffd 👩‍💻",
    "cat " * 100,
    "c" * 150,
    *generated_texts(200, seed=7),
]
HERE = """
import json, sys
from classify import Classifier
rows = json.load(sys.stdin)
answers = Classifier(__import__("pathlib").Path(sys.argv[1]))([tuple(r) if isinstance(r, list) else r for r in rows])
foreign = sorted({"tensorflow", "transformers", "components", "models", "tf2onnx"} & set(sys.modules))
json.dump([answers, foreign], sys.stdout)
"""


def python(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """In the shipped folder, without this project's code in reach."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
    )


def answers(folder: Path, model: str, rows: list[Any]) -> list[dict[str, Any]]:
    done = python(folder, "-c", HERE, str(folder / model), given=json.dumps(rows))
    assert done.returncode == 0, done.stderr
    told, foreign = json.loads(done.stdout)
    assert foreign == []
    return told


@pytest.fixture(scope="module", params=["tflite", "onnx"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def single(kind: str, shipped: Callable[..., Path]) -> Path:
    return shipped(kind)


@pytest.fixture(scope="module")
def paired(kind: str, shipped: Callable[..., Path]) -> Path:
    return shipped(kind, pairs=True)


def test_the_folder_holds_all_that_the_example_needs(single, kind) -> None:
    assert sorted(path.name for path in single.iterdir()) == sorted(
        [
            *("README.md", "classify.py", "labels.txt", "requirements.txt", "tokenizer.json", "vocab.txt"),
            *(f"model.{variant}.{kind}" for variant in VARIANTS[kind]),
        ]
    )
    packages = [line.partition("==")[0] for line in (single / "requirements.txt").read_text().split()]
    runtime = {"tflite": "ai-edge-litert", "onnx": "onnxruntime"}[kind]
    assert packages == ["numpy", "tokenizers", runtime]
    assert f"`model.int8.{kind}`" in (single / "README.md").read_text()


def test_texts_of_any_kind_get_the_labels_of_the_served_model(single, kind, one_text) -> None:
    got = answers(single, f"model.float32.{kind}", TEXTS)
    served = serve(one_text.saved_model, "serving_default", text=[text.encode() for text in TEXTS])
    assert [answer["label"] for answer in got] == [label.decode() for label in served["label"]]
    shares = np.array([list(answer["probabilities"].values()) for answer in got])
    np.testing.assert_allclose(shares, served["probabilities"], atol=1e-5)
    assert list(got[0]["probabilities"]) == ["animal", "number", "place"]
    assert len({answer["label"] for answer in got}) > 1


def test_what_is_no_unicode_counts_as_the_replacement_character_as_it_does_in_the_served_model(
    single, kind, one_text
) -> None:
    got = answers(single, f"model.float32.{kind}", ["the\udcffdog \udc80", "old\ud800horse"])
    sent = [b"the\xffdog \x80", "old\ufffdhorse".encode()]
    wanted = serve(one_text.saved_model, "serving_default", text=sent)["probabilities"]
    shares = np.array([list(answer["probabilities"].values()) for answer in got])
    np.testing.assert_allclose(shares, wanted, atol=1e-5)


def test_pairs_of_texts_get_the_labels_of_the_served_model(paired, kind, text_pairs) -> None:
    firsts, seconds = TEXTS, TEXTS[3:] + TEXTS[:3]
    got = answers(paired, f"model.float32.{kind}", [list(row) for row in zip(firsts, seconds, strict=True)])
    served = serve(
        text_pairs.saved_model,
        "serving_default",
        text=[text.encode() for text in firsts],
        other=[text.encode() for text in seconds],
    )
    assert [answer["label"] for answer in got] == [label.decode() for label in served["label"]]
    shares = np.array([list(answer["probabilities"].values()) for answer in got])
    np.testing.assert_allclose(shares, served["probabilities"], atol=1e-5)


def test_the_command_prints_one_line_of_json_for_each_text(single, kind, one_text) -> None:
    texts = ["How far is the moon?", "the old horse"]
    served = serve(one_text.saved_model, "serving_default", text=texts)
    for chosen in ([], ["--model", f"model.int8.{kind}"]):
        done = python(single, "classify.py", *chosen, *texts)
        assert done.returncode == 0, done.stderr
        told = [json.loads(line) for line in done.stdout.splitlines()]
        assert [row["label"] for row in told] == [label.decode() for label in served["label"]]
        assert sum(told[0]["probabilities"].values()) == pytest.approx(1.0, abs=1e-3)


def test_the_command_takes_two_texts_for_each_pair(paired, text_pairs) -> None:
    done = python(paired, "classify.py", "the old horse", "is it far ?")
    served = serve(text_pairs.saved_model, "serving_default", text=["the old horse"], other=["is it far ?"])
    assert json.loads(done.stdout)["label"] == served["label"][0].decode()
    odd = python(paired, "classify.py", "the old horse")
    assert odd.returncode == 2
    assert "this model takes pairs of texts, got 1 text(s)" in odd.stderr


def test_pairs_are_told_to_a_model_whose_inputs_do_not_tell(single) -> None:
    assert len(python(single, "classify.py", "the old horse", "is it far ?").stdout.splitlines()) == 2
    assert (
        len(python(single, "classify.py", "--pairs", "the old horse", "is it far ?").stdout.splitlines()) == 1
    )


def test_the_shipped_tokenizer_finds_the_added_tokens(tmp_path) -> None:
    from tokenizers import Tokenizer

    vocab, added = [*SPECIAL, *WORDS], ["[E1]", "新词", "covid19", "É1"]
    files = {
        "vocab.txt": vocabulary_file(vocab),
        "config.json": {"model_type": "bert"},
        "added_tokens.json": {token: len(vocab) + i for i, token in enumerate(added)},
        "tokenizer_config.json": {"eos_token": "<url>"},
    }
    folder = write_folder(tmp_path / "encoder", files)
    write_tokenizer(folder, 64, tmp_path)
    rows = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode_batch(TOKEN_TEXTS)
    ours = token_ids(folder, TOKEN_TEXTS, 64)
    assert [row.ids[: sum(row.attention_mask)] for row in rows] == ours
    assert (tmp_path / "vocab.txt").read_text() == vocabulary_file([*vocab, *added, "<url>"])


def test_the_shipped_byte_level_bpe_gives_the_ids_of_the_graph(tmp_path) -> None:
    from tokenizers import Tokenizer

    folder = tmp_path / "encoder"
    folder.mkdir()
    write_byte_bpe_tokenizer(folder, "BartTokenizer", size=400)
    write_tokenizer(folder, 12, tmp_path)
    texts = ["The cat's <mask> and é", "", "a " * 30, *TOKEN_TEXTS]
    rows = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode_batch(texts)
    assert [row.ids[: sum(row.attention_mask)] for row in rows] == token_ids(folder, texts, 12)
    assert (tmp_path / "vocab.txt").read_text() == vocabulary_file([*load_spec(folder).tokens])


@pytest.mark.real
def test_the_shipped_tokenizer_gives_every_real_question_the_ids_of_the_served_model(tmp_path) -> None:
    from tokenizers import Tokenizer

    if not (PROJECT_DIR / "checkpoints").exists() or not (PROJECT_DIR / "datasets" / "trec").exists():
        pytest.skip("made by `make data`")
    checkpoint = checkpoint_folder(
        CheckpointSettings(recipe="all-MiniLM-L6-v2"),
        PROJECT_DIR / "data" / "checkpoints",
        PROJECT_DIR / "checkpoints",
    )
    write_tokenizer(checkpoint, 16, tmp_path)
    texts = real_texts("trec")
    ours = token_ids(checkpoint, texts, 16)
    rows = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode_batch([t.decode() for t in texts])
    shipped_ids = [row.ids[: sum(row.attention_mask)] for row in rows]
    assert len(texts) == 5381
    assert shipped_ids == ours
