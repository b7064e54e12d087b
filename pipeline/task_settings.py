"""What the task of a config determines: defaults of other sections, and the metrics that they may name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from components.evaluator.settings import EvaluateSettings
from components.exports.format import FORMATS
from components.exports.settings import ExportSettings
from components.trainer.settings import TrainSettings
from models.own_parts import is_own
from models.tasks.task import DEFAULT_TASK, TASKS, Task

if TYPE_CHECKING:
    TaskName = str
else:
    TaskName = Literal[tuple(TASKS)]


def with_defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The content of a config in which the keys whose default depends on the task have it.

    The sections declare the defaults of `DEFAULT_TASK`, so a config of that task is returned as it is.
    """
    name = given.get("task", DEFAULT_TASK)
    if name == DEFAULT_TASK or not isinstance(name, str) or name not in TASKS:
        return given
    facts = TASKS[name].facts()
    filled = {
        **given,
        "train": _filled(given.get("train", {}), metric_for_best_model=facts.BEST_METRIC),
        "evaluate": _filled(given.get("evaluate"), metrics=list(facts.DEFAULT_METRICS)),
    }
    export = given.get("export")
    if isinstance(export, Mapping) and facts.EXPORT_METRICS:
        formats = {
            key: _filled(export[key], metric=facts.EXPORT_METRICS[0]) for key in FORMATS if key in export
        }
        filled["export"] = {**export, **formats}
    return filled


def _filled(section: Any, **defaults: Any) -> Any:
    """A section with defaults; what is not a section is left to the check of the config."""
    return {**defaults, **section} if isinstance(section, Mapping) else section


def check_metrics(
    task: Task, train: TrainSettings, evaluate: EvaluateSettings, export: ExportSettings
) -> None:
    """Raises ValueError for a metric, a loss or an export that models of the task do not have."""
    facts = task.facts()
    _check_training(task, train)
    for key, name, known in _metrics(train, evaluate):
        if is_own(name):
            continue  # pipeline/own_parts.py checks these
        names = facts.METRICS if known == "METRICS" else facts.SCORES
        if name not in names:
            raise ValueError(f"{key}: task {task.name!r} has no metric {name!r}; it has {', '.join(names)}")
    unknown = next(
        (m for group in evaluate.classes for m in group.thresholds if m not in facts.PER_CLASS), None
    )
    if unknown:
        known_measures = ", ".join(facts.PER_CLASS) or "none, because it has no classes"
        raise ValueError(
            f"evaluate.classes: task {task.name!r} has no measure {unknown!r} of a label; it has {known_measures}"
        )
    for key, settings in export.chosen().items():
        if not facts.EXPORT_METRICS or task.name not in (FORMATS[key].tasks or (task.name,)):
            raise ValueError(f"export.{key}: models of task {task.name!r} cannot be exported; remove it")
        if settings.metric not in facts.EXPORT_METRICS:
            raise ValueError(
                f"export.{key}.metric must be one of {', '.join(facts.EXPORT_METRICS)} for task {task.name!r}, "
                f"got {settings.metric!r}"
            )


def _check_training(task: Task, train: TrainSettings) -> None:
    losses, used = task.facts().LOSSES, task.facts().TRAIN_KEYS
    own_loss = train.loss is not None and is_own(train.loss)
    if train.loss is not None and not own_loss and train.loss not in losses:
        raise ValueError(
            f"train.loss must be one of {', '.join(losses)} for task {task.name!r}, got {train.loss!r}"
        )
    for key in ("class_weights", "label_smoothing_factor"):
        value = getattr(train, key)
        if value and key not in used:
            raise ValueError(f"train.{key}: task {task.name!r} has no classes, got {value!r}; remove it")
        if value and own_loss and key in task.facts().LOSS_KEYS:
            raise ValueError(
                f"train.{key}: your loss {train.loss} would not see it, got {value!r}; remove it"
            )


def _metrics(train: TrainSettings, evaluate: EvaluateSettings) -> Iterator[tuple[str, str, str]]:
    """(key, metric, which of the task's metrics it is one of) of everything that names a metric."""
    yield "train.metric_for_best_model", train.metric_for_best_model, "SCORES"
    yield from (("evaluate.metrics", name, "METRICS") for name in evaluate.metrics)
    yield from (("evaluate.thresholds", name, "METRICS") for name in evaluate.thresholds)
    for number, slicing in enumerate(evaluate.slices):
        yield from ((f"evaluate.slices.{number}.thresholds", name, "METRICS") for name in slicing.thresholds)
