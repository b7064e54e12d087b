"""The parameters that can be set for each run; everything else is fixed when the pipeline is compiled."""

from __future__ import annotations

from pipeline.config import Config
from pipeline.kubeflow.compiler.steps import PROBE_SUFFIX, RunParameter
from pipeline.kubeflow.run_date import NEWEST, RUN_DATE, SPAN

_PROBE = "TFRecordExampleGen" + PROBE_SUFFIX


def run_parameters(config: Config) -> list[RunParameter]:
    """Returns the run's parameters, with the config's values as defaults.

    They are epochs or steps, learning_rate, serving_dir, force_push, span and run_date.
    """
    train = config.train
    if train.epochs is not None:
        length = _train("epochs", float(train.epochs), "Passes over the train split.")
    else:
        assert train.max_steps is not None  # the config has exactly one of the two
        length = _train("max_steps", train.max_steps, "Optimizer steps.", name="steps")
    serving = {"Baseline": ["serving_dir"], "Pusher": ["serving_dir"], "Report": ["serving_dir"]}
    span = NEWEST if config.data.span is None else str(config.data.span)
    return [
        length,
        _train("learning_rate", train.learning_rate, "Peak learning rate."),
        RunParameter(
            "serving_dir", str(config.push.serving_dir), "Folder that the model is pushed to.", serving
        ),
        RunParameter(
            "force_push",
            0,
            "1: push even if a newer run's model or a rollback is being served.",
            {"Pusher": ["force"]},
        ),
        RunParameter(
            SPAN,
            span,
            "Span of the data: its number, its day, run_date for the day of the run, or nothing for the newest.",
            {_PROBE: [SPAN]},
        ),
        RunParameter(
            RUN_DATE,
            "UTC",
            "Day of the run; or a time zone: the day for which the run is scheduled, in that zone.",
            {_PROBE: [RUN_DATE]},
        ),
    ]


def _train(key: str, default: int | float, description: str, name: str = "") -> RunParameter:
    """A parameter for a key of `train`; `name` is the parameter's name if it differs from the key."""
    # Also set for the Pusher, which records the config that was used.
    targets = {"Trainer": ["custom_config", "train", key], "Pusher": ["info", "config", "train", key]}
    return RunParameter(name or key, default, description, targets)
