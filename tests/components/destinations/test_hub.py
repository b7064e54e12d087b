"""Pushes to the Hugging Face Hub, with the real client and a stub of the hub's API."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import tensorflow as tf
from huggingface_hub.utils import reset_sessions
from safetensors.numpy import load_file
from tfx.types import standard_artifacts
from transformers import AutoTokenizer

from components.destinations import executor
from components.destinations.artifacts import SecondPushes
from components.destinations.hub_files import model_card, write_hub_files, write_tokenizer
from components.versions import store
from components.versions.record import PushRecord, record_of
from models.checkpoints.classifier import load_classifier
from models.encoders.families import forward_of
from models.errors import PipelineError
from models.tasks.task import TASKS
from models.tokenizers.parity import graph_tokenizer
from tests.components.destinations.hub_stub import TOKEN, Hub, running_hub
from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.model_server import Exported, exported
from tests.support.tiny_export import LABELS

__all__ = ["exported"]  # a fixture of the server's tests

INFO = {
    "run_id": "run-7",
    "run_started_at": "2026-11-22T07:00:00+00:00",
    "metrics": {"accuracy": 0.9512, "cross_entropy": None},
    "baseline_metrics": {"accuracy": 0.9},
    "checkpoint": {"name": "/home/somebody/encoder", "fingerprint": "0123"},
    "config": {"train": {"epochs": 3.0}},
}
ENCODER_LAYER = {
    "attention.output.LayerNorm.bias": (32,),
    "attention.output.LayerNorm.weight": (32,),
    "attention.output.dense.bias": (32,),
    "attention.output.dense.weight": (32, 32),
    "attention.self.key.bias": (32,),
    "attention.self.key.weight": (32, 32),
    "attention.self.query.bias": (32,),
    "attention.self.query.weight": (32, 32),
    "attention.self.value.bias": (32,),
    "attention.self.value.weight": (32, 32),
    "intermediate.dense.bias": (64,),
    "intermediate.dense.weight": (64, 32),
    "output.LayerNorm.bias": (32,),
    "output.LayerNorm.weight": (32,),
    "output.dense.bias": (32,),
    "output.dense.weight": (32, 64),
}


@pytest.fixture(scope="module")
def version(exported: tuple[Exported, Exported], tmp_path_factory: pytest.TempPathFactory) -> Path:
    serving = tmp_path_factory.mktemp("pushed") / "serving"
    number = store.publish(exported[0].path, serving, "tiny", 3, record_of(INFO))
    return serving / "tiny" / str(number)


@pytest.fixture(scope="module")
def checkpoint(exported: tuple[Exported, Exported]) -> Path:
    return exported[0].path.parent / "checkpoint"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that the client may reach, with the token in the environment."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    reset_sessions()
    with running_hub() as running:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", running.url)  # as HF_ENDPOINT does
        yield running
    reset_sessions()


def push(version: Path, checkpoint: Path, out: Path, *destinations: dict[str, str]) -> dict[str, str]:
    """Runs the node's executor; returns pushes.json."""
    pushed, report = standard_artifacts.PushedModel(), SecondPushes()
    pushed.set_int_custom_property("pushed", 1)
    pushed.set_string_custom_property("pushed_destination", str(version))
    report.uri = str(out / "pushes")
    properties = {
        "name": "tiny",
        "destinations": json.dumps(destinations),
        "keep": 3,
        "checkpoint_dir": str(checkpoint),
        "max_length": 16,
        "task": "single_label",
    }
    executor.Executor().Do({"pushed_model": [pushed]}, {"pushes": [report]}, properties)
    return json.loads((out / "pushes/pushes.json").read_text())


def test_one_commit_holds_weights_config_tokenizer_and_card(
    hub: Hub, version: Path, checkpoint: Path, tmp_path: Path
) -> None:
    done = push(version, checkpoint, tmp_path, {"hub": "acme/tiny"})
    assert done == {"hub acme/tiny": f"{hub.url}/acme/tiny/commit/{1:040x}"}
    assert hub.commits == ["tiny, version 1, run run-7"]
    assert hub.private == {"acme/tiny": True}
    files = hub.files["acme/tiny"]
    assert {"model.safetensors", "config.json", "tokenizer.json", "vocab.txt", "README.md"} < files.keys()
    config = json.loads(files["config.json"])
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "animal", "1": "number", "2": "place"}
    assert json.loads(files["tokenizer_config.json"])["model_max_length"] == 16
    card = files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "| accuracy | 0.9512 | 0.9000 |" in card
    assert "- checkpoint: encoder\n" in card
    assert "/home/somebody" not in card


def test_the_card_says_how_the_windows_of_a_text_are_joined() -> None:
    facts, window = TASKS["single_label"].facts(), {"stride": 8, "aggregate": "max"}
    config = {"transform": {"max_length": 64, "window": window}}
    card = model_card("tiny", facts, ["a", "b"], PushRecord(config=config))
    assert "windows of 64 tokens that share 8, and the logits of a text are the max of those" in card
    assert "window" not in model_card(
        "tiny", facts, ["a", "b"], PushRecord(config={"transform": {"window": None}})
    )


def test_the_card_says_how_texts_are_divided_into_words() -> None:
    config = {"transform": {"max_length": 64, "window": None, "words": "whitespace"}}
    tags = ["O", "B-PER", "I-PER"]
    card = model_card("tiny", TASKS["token_labels"].facts(), tags, PushRecord(config=config))
    assert "`tokenizers.pre_tokenizers.WhitespaceSplit()` (`transform.words: whitespace`)" in card


def test_tokenizer_of_words_puts_a_space_before_each_as_the_graph_does(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    folder = write_byte_bpe_tokenizer(tmp_path / "encoder", "RobertaTokenizer")
    write_tokenizer(folder, 16, True, tmp_path / "hub")
    made = AutoTokenizer.from_pretrained(tmp_path / "hub")(["cat", "the", "cat"], is_split_into_words=True)
    [row] = graph_tokenizer(folder, 1, 16, words="whitespace")([[b"cat the cat"]])
    assert made["input_ids"] == row.ids
    assert [-1 if word is None else word for word in made.word_ids()] == row.words


def test_pushing_again_commits_nothing(hub: Hub, version: Path, checkpoint: Path, tmp_path: Path) -> None:
    destination = {"hub": "acme/tiny"}
    first = push(version, checkpoint, tmp_path, destination)
    assert push(version, checkpoint, tmp_path, destination) == first
    assert len(hub.commits) == 1


def test_tensors_have_the_names_and_shapes_of_pytorch(
    version: Path, checkpoint: Path, tmp_path: Path
) -> None:
    write_hub_files(version, checkpoint, "tiny", 16, "single_label", tmp_path)
    shapes = {name: value.shape for name, value in load_file(tmp_path / "model.safetensors").items()}
    words = len((checkpoint / "vocab.txt").read_text().splitlines())
    expected = {
        "bert.embeddings.word_embeddings.weight": (words, 32),
        "bert.embeddings.position_embeddings.weight": (64, 32),
        "bert.embeddings.token_type_embeddings.weight": (2, 32),
        "bert.embeddings.LayerNorm.weight": (32,),
        "bert.embeddings.LayerNorm.bias": (32,),
        "bert.pooler.dense.weight": (32, 32),
        "bert.pooler.dense.bias": (32,),
        "classifier.weight": (3, 32),
        "classifier.bias": (3,),
    }
    for layer in (0, 1):
        expected |= {f"bert.encoder.layer.{layer}.{name}": shape for name, shape in ENCODER_LAYER.items()}
    assert shapes == expected


def test_files_load_back_into_a_model_with_the_same_answers(
    version: Path, checkpoint: Path, tmp_path: Path
) -> None:
    write_hub_files(version, checkpoint, "tiny", 16, "single_label", tmp_path)
    model = load_classifier(tmp_path, LABELS, seed=99)
    head = load_file(tmp_path / "model.safetensors")  # the project always trains its own head
    model.classifier.kernel.assign(head["classifier.weight"].T)
    model.classifier.bias.assign(head["classifier.bias"])
    ids = np.array([[2, 7, 20, 3], [2, 30, 3, 0]], np.int64)
    tokens = {"input_ids": tf.constant(ids), "attention_mask": tf.constant((ids > 0).astype(np.int64))}
    served = tf.saved_model.load(str(version)).signatures["serve_tokens"](**tokens)["probabilities"]
    logits = forward_of(model).classify(
        model, {name: tf.cast(value, tf.int32) for name, value in tokens.items()}
    )
    np.testing.assert_allclose(tf.nn.softmax(logits), served, rtol=0, atol=1e-6)


def test_hub_gets_the_added_tokens_and_no_other_key_of_the_checkpoints_config(
    version: Path, checkpoint: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "encoder"))
    for name in ("tokenizer.json", "special_tokens_map.json", "tokenizer_config.json"):
        (folder / name).unlink()
    words = len((folder / "vocab.txt").read_text().splitlines())
    (folder / "added_tokens.json").write_text(json.dumps({"[E1]": words}))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(
            {**config, "torch_dtype": "float16", "output_attentions": True, "problem_type": "regression"}
        )
    )
    (tmp_path / "out").mkdir()
    write_hub_files(version, folder, "tiny", 16, "single_label", tmp_path / "out")
    written = json.loads((tmp_path / "out/config.json").read_text())
    assert written["dtype"] == "float32"
    assert "output_attentions" not in written
    assert written["problem_type"] == "single_label_classification"
    ids = AutoTokenizer.from_pretrained(tmp_path / "out")(["cat[e1]dog"])["input_ids"]
    assert (
        ids == AutoTokenizer.from_pretrained(folder)(["cat[e1]dog"])["input_ids"] == [[2, 17, words, 18, 3]]
    )


def test_token_is_read_from_a_file(
    hub: Hub, version: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    destination = {"hub": "acme/tiny", "token_file": str(tmp_path / "token")}
    push(version, checkpoint, tmp_path, destination)
    assert len(hub.commits) == 1


@pytest.mark.parametrize("token", ["hf_of_somebody_else", None])
def test_refused_token_is_an_error_that_does_not_tell_it(
    hub: Hub,
    version: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    token: str | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HF_TOKEN", token or "")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-login"))
    with pytest.raises(PipelineError, match=r"hub acme/tiny: the push failed \(") as caught:
        push(version, checkpoint, tmp_path, {"hub": "acme/tiny"})
    assert "\n" not in str(caught.value)
    assert token is None or token not in str(caught.value) + caplog.text
    assert hub.commits == []


def test_failing_destination_does_not_keep_the_others_and_is_retried(
    hub: Hub, version: Path, checkpoint: Path, tmp_path: Path
) -> None:
    places = ({"hub": "acme/tiny"}, {"folder": f"{tmp_path}/bucket"})
    hub.down = True
    with pytest.raises(PipelineError) as caught:
        push(version, checkpoint, tmp_path, *places)
    told = str(caught.value)
    assert told.startswith(
        f"version 1 is pushed to {version.parent}, but not to hub acme/tiny: the push failed"
    )
    assert "503" in told
    assert told.endswith("(the next run tries again)")
    assert (tmp_path / "bucket/tiny/1/saved_model.pb").is_file()
    hub.down = False
    assert push(version, checkpoint, tmp_path, *places).keys() == {"hub acme/tiny", f"{tmp_path}/bucket"}


def test_what_was_not_pushed_goes_nowhere(hub: Hub, checkpoint: Path, tmp_path: Path) -> None:
    pushed, report = standard_artifacts.PushedModel(), SecondPushes()
    pushed.set_int_custom_property("pushed", 0)
    report.uri = str(tmp_path / "pushes")
    properties = {"destinations": json.dumps([{"hub": "acme/tiny"}])}
    executor.Executor().Do({"pushed_model": [pushed]}, {"pushes": [report]}, properties)
    assert (json.loads((tmp_path / "pushes/pushes.json").read_text()), hub.files) == ({}, {})


def test_damaged_version_goes_nowhere(hub: Hub, version: Path, checkpoint: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(version, tmp_path / "1")
    [weights] = damaged.glob("variables/*.data*")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(
        PipelineError, match=r"1 is damaged, so it is pushed nowhere else: variables/variables\.data"
    ):
        push(damaged, checkpoint, tmp_path, {"hub": "acme/tiny"}, {"folder": f"{tmp_path}/bucket"})
    assert (hub.files, (tmp_path / "bucket").exists()) == ({}, False)


def test_checkpoint_that_is_gone_is_told_in_one_line(hub: Hub, version: Path, tmp_path: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"not to hub acme/tiny: .*gone: config\.json is missing"
    ) as caught:
        push(version, tmp_path / "gone", tmp_path, {"hub": "acme/tiny"})
    assert "\n" not in str(caught.value)
