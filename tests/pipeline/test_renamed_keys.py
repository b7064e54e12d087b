"""Renamed config keys, and names that users of the Hugging Face Trainer know."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from components.trainer.settings import TrainSettings
from models.errors import UsageError
from pipeline.config import load_config
from pipeline.renamed_keys import advice
from tests.support.tiny_project import CONFIG


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("train.clip_norm", "unknown key 'train.clip_norm'; it is now train.max_grad_norm"),
        ("data.labels", "unknown key 'data.labels'; it is now data.label_list"),
        (
            "train.num_train_epochs",
            "unknown key 'train.num_train_epochs'; the TrainingArguments key num_train_epochs corresponds to "
            "train.epochs",
        ),
        (
            "train.mixed_precision",
            "unknown key 'train.mixed_precision'; it is now train.bf16: true or train.fp16: true",
        ),
        (
            "train.optim",
            "unknown key 'train.optim'; the TrainingArguments key optim corresponds to no key: the optimizer is AdamW",
        ),
        (
            "train.deepspeed",
            "unknown key 'train.deepspeed'; the TrainingArguments key deepspeed has no counterpart here; remove it",
        ),
        ("train.learning_rat", "unknown key 'train.learning_rat'; did you mean 'learning_rate'?"),
    ],
)
def test_unknown_key_is_refused_with_the_name_that_it_has_here(tmp_path: Path, key: str, told: str) -> None:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    with pytest.raises(UsageError) as refused:
        load_config(tmp_path / "tiny.yaml", [f"{key}=1"])
    assert str(refused.value) == f"--set {key}=1: {told}"


def test_every_training_argument_is_a_key_here_or_has_an_advice() -> None:
    from transformers import TrainingArguments

    names = {field.name for field in dataclasses.fields(TrainingArguments) if not field.name.startswith("_")}
    own = TrainSettings.model_fields.keys()
    assert [name for name in sorted(names - own) if not advice(f"train.{name}")] == []
    assert [name for name in own if advice(f"train.{name}")] == []
