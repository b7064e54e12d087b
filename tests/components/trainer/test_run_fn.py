"""run_fn from transformed examples to a self-contained SavedModel."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils
from tfx.components.trainer.fn_args_utils import FnArgs

from components.trainer import progress
from components.trainer.run_fn import run_fn
from components.transform.preprocessing import preprocessing_fn
from models import features
from models.errors import PipelineError
from tests.components.trainer.conftest import LABELS
from tests.support.tiny_model import rows, write_checkpoint

# What a process that only serves does: no project code, no transform folder, no checkpoint.
SERVE = """
import json, sys
import tensorflow as tf
import tensorflow_text
model = tf.saved_model.load(sys.argv[1])
answers = {}
for name, inputs in json.loads(sys.stdin.read()).items():
    signature, _, case = name.partition(" ")
    dtype = tf.int64 if signature == "serve_tokens" else tf.string
    values = {k: tf.constant(v, dtype) for k, v in inputs.items()}
    if signature == "serve_examples":
        values = {"examples": tf.io.decode_base64(values["examples"])}
    found = model.signatures[signature](**values)
    answers[name] = {k: v.numpy().astype(str if v.dtype == tf.string else float).tolist() for k, v in found.items()}
print(json.dumps(answers))
"""


def transform(folder: Path, config: dict[str, Any], raw_spec: dict[str, Any], raw: list[dict]) -> list[dict]:
    """Runs TFT over the rows; writes the graph as the Transform node lays it out."""
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(raw_spec))
    with tft_beam.Context(temp_dir=str(folder / "tmp"), force_tf_compat_v1=False):
        analyze = tft_beam.AnalyzeAndTransformDataset(lambda inputs: preprocessing_fn(inputs, config))
        (transformed, _), transform_fn = (raw, metadata) | analyze
        transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
    metadata_io.write_metadata(metadata, str(folder / "graph" / "metadata"))
    return transformed


def custom_config(folder: Path, **data: str) -> dict[str, Any]:
    labels = folder / "labels.txt"
    labels.write_text("".join(f"{label}\n" for label in LABELS))
    checkpoint = write_checkpoint(folder / "checkpoint")
    return {
        "data": {"path": "data", "schema": "schema.pbtxt", "label_list": "labels.txt", **data},
        "model": {"checkpoint": {"path": str(checkpoint)}},
        "transform": {"max_length": 16},
        "train": {"epochs": 16, "batch_size": 16, "learning_rate": 3e-3},
        "checkpoint_dir": str(checkpoint),
        "labels_path": str(labels),
        "task": "single_label",
        "state_dir": str(folder / "state"),
        "name": "tiny",
        "code_fingerprint": "of this test",
    }


def fn_args(folder: Path, config: dict[str, Any]) -> FnArgs:
    return FnArgs(
        train_files=[str(folder / "train" / "*")],
        eval_files=[str(folder / "eval" / "*")],
        transform_graph_path=str(folder / "graph"),
        serving_model_dir=str(folder / "model" / "Format-Serving"),
        model_run_dir=str(folder / "run"),
        custom_config=config,
    )


def serve(model: Path, requests: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-c", SERVE, str(model)]
    done = subprocess.run(command, input=json.dumps(requests), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def example(**texts: str) -> str:
    """A tf.Example as URL-safe base64."""
    feature = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
        for name, text in texts.items()
    }
    message = tf.train.Example(features=tf.train.Features(feature=feature))
    return base64.urlsafe_b64encode(message.SerializeToString()).decode().rstrip("=")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, write_rows: Callable[..., Path]) -> Path:
    """A folder with the exported model and the run's history; all that it was made from is gone."""
    folder = tmp_path_factory.mktemp("trained")
    config = custom_config(folder)
    raw_spec = {"text": tf.io.FixedLenFeature([1], tf.string), "label": tf.io.FixedLenFeature([1], tf.string)}
    raw = [{"text": [text], "label": [label]} for text, label in rows(240)]
    made = transform(folder, config, raw_spec, raw)
    pairs = [(row["input_ids"].tolist(), int(row["label_id"])) for row in made]
    write_rows(folder / "train" / "part.gz", pairs[:180])
    write_rows(folder / "eval" / "part.gz", pairs[180:])
    progress.set_sink(lambda report: None)
    run_fn(fn_args(folder, config))
    progress.set_sink(None)
    for name in ("graph", "checkpoint", "train", "eval", "tmp", "labels.txt"):
        path = folder / name
        path.unlink() if path.is_file() else shutil.rmtree(path)
    return folder


@pytest.fixture(scope="module")
def answers(trained: Path) -> dict[str, Any]:
    """The model's answers when only its own folder is left."""
    texts = [text for text, _ in rows(50, seed=9)]
    requests = {
        "serving_default texts": {"text": texts},
        "serving_default odd": {
            "text": ["", "\U0001f600" * 50, "a" * 100_000, "nul\x00inside", "[SEP] [PAD]"]
        },
        "serving_default none": {"text": []},
        "serve_examples texts": {"examples": [example(text=text, label="animal") for text in texts]},
        "serve_tokens one": {"input_ids": [[2, 17, 3]], "attention_mask": [[1, 1, 1]]},
        "serve_tokens padded": {"input_ids": [[2, 17, 3, 0]], "attention_mask": [[1, 1, 1, 0]]},
    }
    return serve(trained / "model" / "Format-Serving", requests)


def test_raw_text_is_classified_after_everything_else_is_deleted(answers: dict[str, Any]) -> None:
    found = answers["serving_default texts"]
    expected = [label for _, label in rows(50, seed=9)]
    assert np.mean([a == b for a, b in zip(found[features.PREDICTED_LABEL], expected, strict=True)]) >= 0.9
    assert found[features.CLASSES] == [LABELS] * 50
    probabilities = np.array(found[features.PROBABILITIES])
    assert probabilities.shape == (50, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert [LABELS[i] for i in probabilities.argmax(axis=1)] == found[features.PREDICTED_LABEL]


def test_examples_and_texts_get_the_same_answer(answers: dict[str, Any]) -> None:
    assert answers["serve_examples texts"] == answers["serving_default texts"]


def test_odd_texts_get_an_answer(answers: dict[str, Any]) -> None:
    probabilities = np.array(answers["serving_default odd"][features.PROBABILITIES])
    assert probabilities.shape == (5, 3)
    assert np.isfinite(probabilities).all()


def test_empty_batch_gives_an_empty_answer(answers: dict[str, Any]) -> None:
    assert answers["serving_default none"][features.PREDICTED_LABEL] == []


def test_tokens_are_served_and_padding_changes_nothing(answers: dict[str, Any]) -> None:
    one, padded = (np.array(answers[f"serve_tokens {k}"][features.PROBABILITIES]) for k in ("one", "padded"))
    np.testing.assert_allclose(one, padded, atol=1e-6)


def test_export_carries_labels_and_weights_and_no_optimizer(trained: Path) -> None:
    model = trained / "model" / "Format-Serving"
    assert (model / "assets.extra" / "labels.txt").read_text() == "animal\nnumber\nplace\n"
    assert (model / "assets" / "labels.txt").read_text() == "animal\nnumber\nplace\n"
    names = [name for name, _ in tf.train.list_variables(str(model / "variables" / "variables"))]
    weights = [name for name in names if "VARIABLE_VALUE" in name and "save_counter" not in name]
    assert len(weights) == 41


def test_run_leaves_its_history_and_no_state(trained: Path) -> None:
    history = json.loads((trained / "run" / "history.json").read_text())
    assert history["step"] == history["total_steps"] == 192
    assert history["best"]["accuracy"] >= 0.9
    assert list((trained / "run").glob("events.out.tfevents.*"))
    assert list((trained / "state").iterdir()) == []


def test_text_pairs_go_from_columns_to_answer(tmp_path: Path, write_rows: Callable[..., Path]) -> None:
    config = custom_config(tmp_path, text="question", text_pair="answer")
    config["train"] = {"max_steps": 2, "epochs": None, "batch_size": 8, "tensorboard": False}
    raw_spec = {name: tf.io.VarLenFeature(tf.string) for name in ("question", "answer", "label")}
    raw = [{"question": [text], "answer": ["the cat"], "label": [label]} for text, label in rows(24)]
    made = transform(tmp_path, config, raw_spec, raw)
    for split in ("train", "eval"):
        (tmp_path / split).mkdir()
        with tf.io.TFRecordWriter(str(tmp_path / split / "part")) as writer:  # not compressed
            for row in made:
                feature = {
                    name: tf.train.Feature(int64_list=tf.train.Int64List(value=np.atleast_1d(value)))
                    for name, value in row.items()
                }
                message = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(message.SerializeToString())
    run_fn(fn_args(tmp_path, config))
    shutil.rmtree(tmp_path / "graph")
    questions = {"question": ["what is ?", ""], "answer": ["the dog", "the cat"]}
    requests = {
        "serving_default": questions,
        "serve_examples": {
            "examples": [example(question=q, answer=a) for q, a in zip(*questions.values(), strict=True)]
        },
        "serve_tokens": {"input_ids": [[2, 3]], "attention_mask": [[1, 1]], "token_type_ids": [[0, 1]]},
    }
    found = serve(tmp_path / "model" / "Format-Serving", requests)
    assert found["serving_default"] == found["serve_examples"]
    assert np.array(found["serve_tokens"][features.PROBABILITIES]).shape == (1, 3)


def test_graph_made_from_other_columns_is_refused_before_training(
    tmp_path: Path, write_rows: Callable[..., Path]
) -> None:
    config = custom_config(tmp_path)
    raw_spec = {"text": tf.io.FixedLenFeature([1], tf.string), "label": tf.io.FixedLenFeature([1], tf.string)}
    transform(tmp_path, config, raw_spec, [{"text": ["a"], "label": ["animal"]}])
    for split in ("train", "eval"):
        write_rows(tmp_path / split / "part.gz", [([2, 5, 3], 0)])
    other = {**config, "data": {**config["data"], "text": "body"}}
    with pytest.raises(PipelineError, match=r"no text column \['body'\]"):
        run_fn(fn_args(tmp_path, other))
    assert not (tmp_path / "state").exists()
