"""The templates together: cleaning, head, loss and metric, from raw rows to a model that needs none of their code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import progress, train_loop
from components.trainer.model import add_head, decays, learning_rate_shares, trained_variables
from components.trainer.run_fn import run_fn
from components.trainer.settings import FreezeSettings, TrainSettings
from components.trainer.train_loop import read_data, train
from models import features
from models.checkpoints.classifier import load_classifier
from models.encoders.families import logits_of
from tests.components.trainer.conftest import INPUTS, LABELS, TASK, learnable_rows
from tests.components.trainer.test_run_fn import custom_config, fn_args, serve, transform
from tests.support.tiny_model import rows

HEAD, COST = "own_parts.heads.MeanPooling", "own_parts.metrics.ExpectedCost"
STRATEGY = tf.distribute.get_strategy()


@pytest.fixture(autouse=True)
def silent() -> Any:
    progress.set_sink(lambda report: None)
    yield
    progress.set_sink(None)


def with_head(checkpoint: Path) -> Any:
    model = load_classifier(checkpoint, LABELS, labels_tokens=True)
    add_head(model, HEAD, 3, seed=0)
    return model


def test_a_served_model_has_all_of_them_and_needs_none_of_their_code(
    tmp_path: Path, write_rows: Callable[..., Path]
) -> None:
    config = custom_config(tmp_path)
    config["model"]["head"] = HEAD
    config["transform"]["text"] = "own_parts.cleaning.without_markup"
    config["train"] |= {"loss": "own_parts.losses.focal", "metric_for_best_model": COST, "tensorboard": False}
    raw_spec = {"text": tf.io.FixedLenFeature([1], tf.string), "label": tf.io.FixedLenFeature([1], tf.string)}
    raw = [{"text": [f"<b>{text}</b>"], "label": [label]} for text, label in rows(240)]
    made = transform(tmp_path, config, raw_spec, raw)
    pairs = [(row["input_ids"].tolist(), int(row["label_id"])) for row in made]
    write_rows(tmp_path / "train" / "part.gz", pairs[:180])
    write_rows(tmp_path / "eval" / "part.gz", pairs[180:])
    run_fn(fn_args(tmp_path, config))
    for name in ("graph", "checkpoint", "train", "eval", "tmp"):
        shutil.rmtree(tmp_path / name)

    texts = [text for text, _ in rows(50, seed=9)]
    requests = {
        "serving_default plain": {"text": texts},
        "serving_default marked": {"text": [f"<p class='x'>{text}</p>&nbsp;" for text in texts]},
        "serve_tokens one": {"input_ids": [[2, 17, 3]], "attention_mask": [[1, 1, 1]]},
        "serve_tokens padded": {"input_ids": [[2, 17, 3, 0]], "attention_mask": [[1, 1, 1, 0]]},
    }
    answers = serve(tmp_path / "model" / "Format-Serving", requests)
    assert answers["serving_default marked"] == answers["serving_default plain"]
    expected = [label for _, label in rows(50, seed=9)]
    found = answers["serving_default plain"][features.PREDICTED_LABEL]
    assert np.mean([a == b for a, b in zip(found, expected, strict=True)]) >= 0.9
    one, padded = (np.array(answers[f"serve_tokens {k}"][features.PROBABILITIES]) for k in ("one", "padded"))
    np.testing.assert_allclose(one, padded, atol=1e-6)
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history["best_metric"] == COST
    assert history["best"][COST] == min(e[COST] for e in history["evaluations"]) < 0.2


def test_the_head_has_the_whole_learning_rate_decays_by_its_matrices_and_stays_when_all_else_is_frozen(
    checkpoint: Path,
) -> None:
    model = with_head(checkpoint)
    own = {v.ref() for v in model.own_head.variables}
    variables = trained_variables(model, FreezeSettings(embeddings=True, layers=2))
    assert {v.ref() for v in variables} == own
    assert learning_rate_shares(model, variables, 0.5) == [1.0] * 4
    assert sorted((v.shape.rank, decays(model)(v)) for v in variables) == [(1, False)] * 2 + [(2, True)] * 2
    everything = trained_variables(model, FreezeSettings())
    assert own < {v.ref() for v in everything}
    assert not {v.ref() for v in model.classifier.variables} & {v.ref() for v in everything}


def test_an_interrupted_training_with_a_head_goes_on_to_the_same_weights(
    checkpoint: Path, write_rows: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "train.gz", learnable_rows(96, seed=1))
    write_rows(tmp_path / "eval.gz", learnable_rows(32, seed=2))
    data = read_data([str(tmp_path / "train*")], [str(tmp_path / "eval*")], LABELS, 110, INPUTS, TASK)
    settings = TrainSettings(epochs=2, batch_size=16, learning_rate=3e-3, tensorboard=False)
    straight = with_head(checkpoint)
    train(straight, data, settings, STRATEGY, tmp_path / "straight")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(train_loop._Loop, "_report", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(with_head(checkpoint), data, settings, STRATEGY, tmp_path / "state")
    resumed = with_head(checkpoint)
    history = train(resumed, data, settings, STRATEGY, tmp_path / "state")
    assert [0 < step < history.total_steps for step in history.resumed_at] == [True]
    batch = {
        name: tf.constant([[2, 17, 30, 3]]) if name == "input_ids" else tf.ones([1, 4], tf.int32)
        for name in INPUTS
    }
    np.testing.assert_array_equal(logits_of(resumed)(resumed, batch), logits_of(straight)(straight, batch))
