"""The recipe of CONTRIBUTING.md for another encoder: a package of two modules and a row are sufficient."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import transformers

from components.trainer import progress
from components.trainer.settings import TrainSettings
from components.trainer.train_loop import read_data, split_scores, train
from models.checkpoints.checks import check_checkpoint
from models.checkpoints.classifier import load_classifier
from models.encoders.families import FAMILIES, Family
from models.errors import CheckpointError
from tests.components.trainer.conftest import INPUTS, LABELS, TASK, learnable_rows
from tests.support.tiny_model import write_checkpoint

# BERT under another name, so that the TF class and the weights are there; nothing of it is decayed.
FACTS = """
from models.encoders.bert.facts import *
NAME = "Toy"
REFUSED = {**REFUSED, "toy_rotary": "the toy has no rotary positions"}
"""
FORWARD = """
from models.encoders.bert.forward import *
def is_decayed(variable):
    return False
"""


class ToyConfig(transformers.BertConfig):
    model_type = "toy"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkpoint of the new family."""
    package = tmp_path / "packages" / "toy_encoder"
    package.mkdir(parents=True)
    for name, code in (("__init__", ""), ("facts", FACTS), ("forward", FORWARD)):
        (package / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setitem(FAMILIES, "toy", Family("toy_encoder"))
    transformers.AutoConfig.register("toy", ToyConfig, exist_ok=True)
    folder = write_checkpoint(tmp_path / "toy")
    change_config(folder, model_type="toy")
    progress.set_sink(lambda report: None)
    yield folder
    progress.set_sink(None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy_encoder"]:
        del sys.modules[name]


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_its_facts_are_what_checkpoints_are_held_to(toy: Path) -> None:
    change_config(toy, alibi=True)
    assert check_checkpoint(toy, allow_pickle=False, max_length=16) == [
        f"{toy / 'config.json'}: Toy does not read ['alibi'], here as in transformers"
    ]
    change_config(toy, toy_rotary=True)
    with pytest.raises(CheckpointError, match="toy_rotary is True; the toy has no rotary positions"):
        check_checkpoint(toy, allow_pickle=False)
    change_config(toy, model_type="toys")
    with pytest.raises(CheckpointError, match=r"model_type 'toys' is not one of \[.*'toy', "):
        check_checkpoint(toy, allow_pickle=False)


def test_it_is_trained_by_its_own_rules(toy: Path, write_rows: Callable[..., Path], tmp_path: Path) -> None:
    shards = [
        [str(write_rows(tmp_path / f"{name}.gz", learnable_rows(count, seed)))]
        for name, count, seed in (("train", 128, 1), ("eval", 32, 2))
    ]
    model = load_classifier(toy, LABELS)
    assert model.config.model_type == "toy"
    data = read_data(*shards, LABELS, model.config.vocab_size, INPUTS, TASK)
    strategy = tf.distribute.get_strategy()
    settings = TrainSettings(
        epochs=None, max_steps=60, batch_size=16, learning_rate=3e-3, weight_decay=0.9, tensorboard=False
    )
    unused = model.bert.embeddings.weight.numpy()[-1]  # decay alone would change it
    before = split_scores(model, data.evaluation, settings, strategy, INPUTS, TASK)
    train(model, data, settings, strategy, tmp_path / "state")
    after = split_scores(model, data.evaluation, settings, strategy, INPUTS, TASK)
    assert after["loss"] < 0.8 * before["loss"]
    np.testing.assert_array_equal(model.bert.embeddings.weight.numpy()[-1], unused)
