"""Predicts rows of the evaluation split again, with the signature that was evaluated and is served."""

from __future__ import annotations

import contextlib
import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the ops of the transform graph

from components.example_gen.rows import read_examples, text_of
from components.model_files import EXTRAS, read_constants
from components.settings import DataSettings
from models import features
from models.tasks.label_list import read_labels
from models.tasks.objective import Constants
from models.tasks.task import Task

_CHUNK = 1024  # rows in memory; within a chunk, rows are batched by length
_BATCH = 64
TEXT_SHOWN = 1000  # characters


@dataclass(frozen=True)
class Row:
    """One row: its texts (two for a pair task) and the values of its label column."""

    texts: tuple[bytes, ...]
    label: tuple[bytes | int | float, ...]


@dataclass(frozen=True)
class Predictions:
    """The model's predictions.

    `labels` [rows, ...], from the task's `targets`, `probabilities` [rows, ...], values of the task's
    `PREDICTED`, and `mistakes` as the task defines them, the worst first. `constants` are those of the answer.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    mistakes: tuple[Any, ...]
    constants: Constants


def is_chosen(index: int, rows: int, limit: int) -> bool:
    """Whether row `index` is one of the exactly `limit` evenly spaced rows, out of `rows`, that are predicted."""
    return rows <= limit or (index + 1) * limit // rows > index * limit // rows


def read_rows(folder: Path, data: DataSettings) -> Iterator[Row]:
    """The rows of a split.

    Raises:
        PipelineError: a shard is damaged.
    """
    for example in read_examples(folder):
        yield Row(
            tuple(text_of(example, column) for column in data.text_columns),
            _values(example, data.label_column),
        )


def _values(example: tf.train.Example, column: str) -> tuple[bytes | int | float, ...]:
    feature = example.features.feature[column]
    return (*feature.bytes_list.value, *feature.int64_list.value, *feature.float_list.value)


@contextlib.contextmanager
def opened(
    model_dir: Path, columns: Sequence[str], outputs: Sequence[str]
) -> Iterator[Callable[[Sequence[Row]], np.ndarray]]:
    """Loads a SavedModel; yields a function from rows to its output, [rows, ...]; several are stacked in the last dimension.

    It uses its own session, so that loading is a single graph import and all memory is freed at the end.
    """
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        loaded = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(model_dir))
        signature = loaded.signature_def[features.SERVING_SIGNATURE]
        call = session.make_callable(
            [graph.get_tensor_by_name(signature.outputs[name].name) for name in outputs],
            [graph.get_tensor_by_name(signature.inputs[column].name) for column in columns],
        )

        def predict(rows: Sequence[Row]) -> np.ndarray:
            texts = zip(*(row.texts for row in rows), strict=True)
            values = call(*(np.array(column, dtype=object) for column in texts))
            return np.stack(values, axis=-1) if len(values) > 1 else np.asarray(values[0])

        yield predict


def predict_split(
    model_dir: Path, folder: Path, data: DataSettings, task: Task, rows: int, limit: int, mistakes: int
) -> Predictions:
    """Predicts at most `limit` rows; memory grows with the number of rows and classes, not with the texts.

    Args:
        model_dir: exported SavedModel.
        folder: shards of the split.
        data: the config's `data` section.
        task: what the model learned.
        rows: rows of the split.
        limit: maximum number of rows to predict.
        mistakes: number of mistakes to keep, with their texts.
    """
    chosen = (row for i, row in enumerate(read_rows(folder, data)) if is_chosen(i, rows, limit))
    facts, figures = task.facts(), task.figures()
    classes = tuple(read_labels(model_dir / EXTRAS / features.LABELS_FILE))
    constants = read_constants(model_dir)
    targets, probabilities = [np.zeros(0, np.int64)], [np.zeros((0, 0), np.float32)]
    worst: list[Any] = []
    with opened(model_dir, data.text_columns, facts.PREDICTED) as predict:
        for batch in _batches(chosen):
            predicted = predict(batch)
            labels = [facts.label_text(row.label) for row in batch]
            ids = figures.targets([row.label for row in batch], classes)
            targets.append(ids)
            probabilities.append(predicted)
            texts = [[_shown(text) for text in row.texts] for row in batch]
            candidates = [*worst, *figures.mistakes(texts, labels, ids, predicted, classes, constants)]
            worst = heapq.nsmallest(mistakes, candidates, key=figures.gravity)
    return Predictions(
        classes,
        np.concatenate(targets[1:] or targets),
        np.concatenate(probabilities[1:] or probabilities),
        tuple(worst),
        constants,
    )


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Batches rows of similar length, so that there is little padding."""
    while chunk := sorted(itertools.islice(rows, _CHUNK), key=lambda row: len(row.texts[0])):
        for start in range(0, len(chunk), _BATCH):
            yield chunk[start : start + _BATCH]


def _shown(text: bytes) -> str:
    shown = text[: 4 * TEXT_SHOWN].decode(errors="replace")
    return shown if len(shown) <= TEXT_SHOWN else shown[:TEXT_SHOWN] + "…"
