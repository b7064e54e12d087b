"""The configs of other tokenizers and encoders, from the import to the served answer, with tiny random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.project import PROJECT_DIR
from models.tokenizers.family import load_spec
from tests.e2e.test_pipeline import Run, call
from tests.support import model_server
from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.full import FULL, only_full
from tests.support.sentencepiece import write_sentencepiece_tokenizer
from tests.support.tiny_encoders import write_encoder
from tests.support.tiny_model import SPECIAL, rows, vocabulary
from tests.support.tokenizers import write_bert_tokenizer

pytestmark = pytest.mark.e2e

SETTINGS = (
    "data.recipe=null",
    "data.path=data",
    "data.schema=data/schema.pbtxt",
    "data.label_list=data/labels.txt",
    "model.checkpoint.recipe=null",
    "model.checkpoint.path=encoder",
    "transform.max_length=32",
    "train.max_steps=100",
    "train.learning_rate=0.003",
    "evaluate.thresholds={accuracy: {min: 0.5}}",
    "push.serving_dir=serving",
)


def write_distilbert(folder: Path) -> Path:
    words = [word for word in vocabulary() if word not in SPECIAL]
    write_encoder(folder, "distilbert", learns=True, vocab_size=len(SPECIAL) + len(words))
    return write_bert_tokenizer(folder, words)


def write_roberta(folder: Path) -> Path:
    folder.mkdir()
    write_byte_bpe_tokenizer(folder, texts=tuple(text for text, _ in rows(100)), size=400)
    tokens = len(load_spec(folder).tokens)
    return write_encoder(folder, "roberta", learns=True, vocab_size=tokens, type_vocab_size=1)


def with_pieces(model_type: str) -> Callable[[Path], Path]:
    """Writes an encoder with XLM-RoBERTa's tokenizer, which is not that of its own family only."""

    def write(folder: Path) -> Path:
        folder.mkdir()
        words = [word for word in vocabulary() if word not in SPECIAL]
        texts = tuple(f"{word} {other}" for word in words for other in words)  # so that words become pieces
        write_sentencepiece_tokenizer(folder, texts=texts, size=400)
        path = folder / "tokenizer_config.json"  # config.json gets another model_type
        path.write_text(
            json.dumps({**json.loads(path.read_text()), "tokenizer_class": "XLMRobertaTokenizer"})
        )
        tokens = len(load_spec(folder).tokens)
        return write_encoder(folder, model_type, learns=True, vocab_size=tokens, type_vocab_size=1)

    return write


# Config -> writes a checkpoint of its kind.
CHECKPOINTS: dict[str, Callable[[Path], Path]] = {
    "trec_xlm_roberta": with_pieces("xlm-roberta"),
    "trec_e5": with_pieces("bert"),
    "trec_roberta": write_roberta,
    "trec_distilbert": write_distilbert,
}
USUAL = "trec_xlm_roberta"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            name,
            marks=pytest.mark.skipif(not FULL and name != USUAL, reason="a longer proof: make test-full"),
        )
        for name in CHECKPOINTS
    ],
)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A config's name, and a folder with it, imported rows and a checkpoint."""
    folder = tmp_path_factory.mktemp(request.param)
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows(600)]
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    CHECKPOINTS[request.param](folder / "encoder")
    imported = call(folder, "import", "rows.jsonl", "--text", "text", "--label", "label", "--out", "data")
    assert imported.returncode == 0, imported.stderr
    config = (PROJECT_DIR / "configs" / f"{request.param}.yaml").read_text(encoding="utf-8")
    (folder / "model.yaml").write_text(config, encoding="utf-8")
    return request.param, folder


@pytest.fixture(scope="module")
def pushed(project: tuple[str, Path]) -> Run:
    return run(project[1])


def run(folder: Path, *overrides: str) -> Run:
    options = [part for setting in (*SETTINGS, *overrides) for part in ("--set", setting)]
    done = call(folder, "run", "model.yaml", "--json", *options)
    return Run(done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr)


def test_model_is_trained_and_pushed(project, pushed):
    name, folder = project
    assert (pushed.exit_code, pushed.result["status"], pushed.result["version"]) == (0, "pushed", 1), pushed
    assert pushed.result["metrics"]["accuracy"] > 0.9
    assert (folder / "serving" / name / "1" / "saved_model.pb").is_file()


@only_full
def test_bfloat16_beyond_the_canarys_tolerance_is_not_pushed_and_within_it_is(project, pushed):
    name, folder = project
    served = folder / "serving" / name
    other = ("train.max_steps=101", "serve.precision=bfloat16")
    done = run(folder, *other, "canary.max_difference=0")
    assert (done.exit_code, done.result["pushed"]) == (3, False)
    assert "rejected by the canary: the server's probabilities differ by up to " in done.result["reason"]
    assert not (served / "2").exists()
    done = run(folder, *other)
    assert (done.exit_code, done.result["pushed"]) == (0, True), done
    assert [node for node, state in done.states().items() if state == "done"] == [
        "Canary",
        "Pusher",
        "Report",
    ]
    assert (served / "2" / "saved_model.pb").is_file()


def test_served_model_answers_without_its_checkpoint(project, pushed, monkeypatch):
    name, folder = project
    (folder / "encoder").rename(folder / "gone")
    monkeypatch.setattr(model_server, "NAME", name)
    texts = ["how far is rome ?", "what is the old dog", "say one"]
    with model_server.running(folder / "serving", 1) as server:
        answer = server.predict({"instances": texts}, f"/v1/models/{name}:predict")
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    assert [prediction["label"] for prediction in predictions] == ["place", "animal", "number"]
