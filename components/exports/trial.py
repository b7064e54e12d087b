"""Compares a variant of a format with the served SavedModel on the same rows and token ids."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the ops of the transform graph

from components.exports.opened import Opened, Tokens, timed
from components.exports.report import LATENCY_ROWS, Figures, Variant
from components.trainer.dataset import Batching, evaluation_batches, list_shards
from models import features
from models.answers import answer_name
from models.errors import PipelineError
from models.tasks.objective import Constants
from models.tasks.task import Task, metric

_BATCH = 64
_REPEATS = 10


@dataclass(frozen=True)
class Trial:
    """Rows for the comparison.

    `batches`: tokens, and labels [rows, ...] as the task's `targets` gives them, of similar length. `constants`: of the
    served model's answer.
    """

    task: Task
    batches: Sequence[tuple[Tokens, np.ndarray]]
    timed_batches: dict[str, Tokens]
    constants: Constants

    @property
    def rows(self) -> int:
        """How many."""
        return sum(len(labels) for _, labels in self.batches)


@dataclass(frozen=True)
class Tried:
    """Answers to all rows of a trial: probabilities float32 [rows, ...], values of the task's ANSWER."""

    probabilities: np.ndarray
    figures: Figures


def read_trial(
    split: Path, inputs: tuple[str, ...], limit: int, task: Task, constants: Constants | None = None
) -> Trial:
    """The first `limit` rows of a split of transformed examples, or all if it has fewer.

    `inputs`: names of the model's inputs, as `served_inputs` returns them. `constants`: of the model's answer.

    Raises:
        PipelineError: the split has no rows.
    """
    batching = Batching(_BATCH, inputs=inputs, task=task)
    rows = evaluation_batches(list_shards([f"{split}/*"]), batching, limit)
    batches = [_as_arrays(batch, inputs, task) for batch in rows]
    if not batches:
        raise PipelineError(f"{split}: no rows to compare an export with the served model on")
    # A batch of medium length, because the pool is sorted by length.
    tokens = batches[len(batches) // 2][0]
    return Trial(task, batches, {str(rows): _first(tokens, rows) for rows in LATENCY_ROWS}, constants or {})


def _as_arrays(batch: dict[str, tf.Tensor], inputs: tuple[str, ...], task: Task) -> tuple[Tokens, np.ndarray]:
    return {name: batch[name].numpy() for name in inputs}, task.labels().targets(batch)


def _first(tokens: Tokens, rows: int) -> Tokens:
    """The first `rows` rows, repeated if there are fewer."""
    return {name: np.resize(value, (rows, value.shape[1])) for name, value in tokens.items()}


def open_served(saved_model: Path) -> Opened:
    """Loads the SavedModel's signature that takes token ids."""
    loaded = tf.saved_model.load(str(saved_model))
    signature = loaded.signatures[features.TOKENS_SIGNATURE]
    answer = answer_name(signature.structured_outputs)

    def predict(tokens: Tokens) -> np.ndarray:
        inputs = {name: tf.constant(value, tf.int64) for name, value in tokens.items()}
        return np.asarray(signature(**inputs)[answer].numpy())

    predict.keep = loaded  # type: ignore[attr-defined]  # keeps its variables alive
    return timed(predict)


def try_model(opened: Opened, trial: Trial, size: int, measured: str) -> Tried:
    """Predicts all rows; `measured` is one of the task's `EXPORT_METRICS`."""
    probabilities = np.concatenate([opened.predict(tokens) for tokens, _ in trial.batches])
    labels = np.concatenate([label_ids for _, label_ids in trial.batches])
    milliseconds = {
        rows: round(statistics.median(opened.seconds(tokens, _REPEATS)) * 1e3, 3)
        for rows, tokens in trial.timed_batches.items()
    }
    value = trial.task.figures().measure(measured, labels, probabilities, trial.constants)
    return Tried(probabilities, Figures(size, value, milliseconds))


def judge(
    name: str,
    tried: Tried,
    served: Tried,
    task: Task,
    measured: str,
    max_drop: float,
    constants: Constants | None = None,
) -> Variant:
    """The variant's figures, and the reason if it is rejected."""
    largest = float(np.abs(tried.probabilities - served.probabilities).max())
    difference = tried.figures.value - served.figures.value
    if not np.isfinite(tried.probabilities).all() or not math.isfinite(largest):
        return Variant(name, "an answer is not a number")
    drop = metric(measured).worse_by(tried.figures.value, served.figures.value)
    reason = ""
    if drop > max_drop + 1e-12:
        reason = (
            f"{measured} {tried.figures.value:.4f} is {drop:.4f} below the served model's "
            f"{served.figures.value:.4f}, at most {max_drop:g} is allowed (max_drop)"
        )
    agreement = task.figures().agreement(tried.probabilities, served.probabilities, constants)
    return Variant(name, reason, tried.figures, difference, largest, agreement)
