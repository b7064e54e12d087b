"""The user's metrics on the eval split, from the answers that the model would give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from components.trainer.dataset import ROW_WEIGHT
from models.tasks.objective import Constants
from models.tasks.own_metric import made, row_sums, split_values
from models.tasks.task import Task

Batch = Mapping[str, tf.Tensor]


def own_scores(
    paths: Sequence[str],
    labels: Sequence[str],
    task: Task,
    batches: Iterable[Batch],
    logits: Callable[[Batch], tf.Tensor],
    constants: Constants,
) -> dict[str, float]:
    """The value of each metric.

    A pass of its own over the split, because answers need what is chosen from the scores of the whole split, such as
    decision thresholds.

    Args:
        paths: dotted paths of the classes.
        labels: the label list.
        task: what the model learns.
        batches: of the split; rows of weight 0 only fill up a batch.
        logits: of a batch's rows, float32 [rows, outputs].
        constants: of the answer.
    """
    classes, sums = tf.constant(list(labels)), dict[str, Any]()
    for batch in batches if paths else ():
        rows = (batch[ROW_WEIGHT] > 0.0).numpy()
        answers = task.head().served_outputs(logits(batch), classes, constants)
        outputs = {name: values.numpy()[rows] for name, values in answers.items()}
        targets = task.labels().targets(batch)[rows]
        for path in paths:
            sums[path] = sums.get(path, 0.0) + row_sums(made(path, tuple(labels)), targets, outputs)
    return split_values(paths, labels, sums)
