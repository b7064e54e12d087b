"""The function that the TFX Trainer calls: unpack, load, train, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow_transform as tft

from components.settings import DataSettings, ModelSettings, TransformSettings
from components.trainer.dataset import model_inputs
from components.trainer.distribution import is_chief, make_strategy
from components.trainer.export import ServingModel, export_model
from components.trainer.history import write_history
from components.trainer.model import add_head
from components.trainer.settings import TrainSettings
from components.trainer.state_files import clear_state
from components.trainer.train_loop import read_data, train
from models.checkpoints.classifier import load_classifier
from models.checkpoints.weights import checkpoint_digest
from models.encoders.families import FAMILIES
from models.tasks.task import TASKS

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs


def run_fn(fn_args: FnArgs) -> None:
    """Fine-tunes the checkpoint on the transformed examples and exports the model with all signatures.

    `custom_config`: "model", "train", "data", "transform" (settings as JSON), "checkpoint_dir", "labels_path",
    "state_dir" (kept after an interrupt), "task" (a key of `TASKS`), "code_fingerprint".
    """
    custom, run_dir = fn_args.custom_config, Path(fn_args.model_run_dir)
    data = DataSettings.model_validate(custom["data"])
    model_settings = ModelSettings.model_validate(custom["model"])
    settings = TrainSettings.model_validate(custom["train"])
    transform_settings = TransformSettings.model_validate(custom["transform"])
    checkpoint, labels_path = Path(custom["checkpoint_dir"]), Path(custom["labels_path"])
    strategy, task = make_strategy(settings.strategy), TASKS[custom["task"]]
    labels, state_dir = task.read_labels(labels_path), Path(custom["state_dir"])
    of_words, aggregate = task.facts().OF_WORDS, transform_settings.aggregate
    with strategy.scope():
        model = load_classifier(
            checkpoint,
            labels,
            dropout=model_settings.dropout,
            allow_pickle=model_settings.checkpoint.allow_pickle,
            seed=settings.seed,
            forward=model_settings.forward,
            labels_tokens=of_words or model_settings.head is not None,
        )
        if model_settings.head is not None:
            add_head(model, model_settings.head, task.head().size(labels), settings.seed)
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    taken = FAMILIES[model.config.model_type].facts().INPUTS
    inputs = model_inputs(transform.transformed_feature_spec(), taken)
    rows = read_data(
        fn_args.train_files, fn_args.eval_files, labels, model.config.vocab_size, inputs, task, aggregate
    )
    serving = ServingModel(model, transform, data, labels_path, task, transform_settings)
    identity = {"weights": checkpoint_digest(checkpoint), "dropout": model_settings.dropout}
    identity["head"] = model_settings.head
    identity["code"] = custom.get("code_fingerprint")
    log_dir = run_dir if settings.tensorboard else None
    history = train(model, rows, settings, strategy, state_dir, log_dir, identity)
    if is_chief(strategy):
        write_history(history, run_dir)
        export_model(serving, labels_path, Path(fn_args.serving_model_dir), history.constants)
        clear_state(state_dir, history.fingerprint)
