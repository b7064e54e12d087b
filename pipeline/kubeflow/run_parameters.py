"""What the dashboard offers to set for one run; everything else is fixed when the pipeline is compiled."""

from __future__ import annotations

from pipeline.config import Config
from pipeline.kubeflow.steps import RunParameter


def run_parameters(config: Config) -> list[RunParameter]:
    """Parameters with the config's values as defaults: epochs or steps, learning_rate, serving_dir, force_push."""
    train = config.train
    if train.epochs is not None:
        length = _train("epochs", float(train.epochs), "Passes over the train split.")
    else:
        assert train.steps is not None  # the config has exactly one of the two
        length = _train("steps", train.steps, "Optimizer steps.")
    serving = {"Baseline": ["serving_dir"], "Pusher": ["serving_dir"], "Report": ["serving_dir"]}
    return [
        length,
        _train("learning_rate", train.learning_rate, "Peak learning rate."),
        RunParameter(
            "serving_dir", str(config.push.serving_dir), "Folder that the model is pushed to.", serving
        ),
        RunParameter(
            "force_push",
            0,
            "1: push also over the model of a newer run, or over a rollback.",
            {"Pusher": ["force"]},
        ),
    ]


def _train(key: str, default: int | float, description: str) -> RunParameter:
    # The Pusher records the config that was in force.
    targets = {"Trainer": ["custom_config", "train", key], "Pusher": ["info", "config", "train", key]}
    return RunParameter(key, default, description, targets)
