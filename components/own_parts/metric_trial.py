"""Tries the class of a metric on the answers to a few rows of random logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from components.own_parts.loss_trial import random_batch, random_logits
from components.own_parts.unfit import UnfitError
from models.tasks.own_metric import properties, row_sums
from models.tasks.task import TASKS


def try_metric(of_class: Any, path: str, request: Mapping[str, Any]) -> None:
    """Raises UnfitError if the class breaks the contract: sums of rows that add up, and a number in its range.

    `request`: with `task` and `labels`, the label list.
    """
    task, labels = TASKS[request["task"]], request["labels"]
    known, metric = properties(path), of_class(list(labels))
    for method in ("sums", "value"):
        if not callable(getattr(metric, method, None)):
            raise UnfitError(f"must have the method {method}")
    batch = random_batch(task, len(labels))
    answers = task.head().served_outputs(random_logits(len(labels)), tf.constant(labels), {})
    outputs = {name: values.numpy() for name, values in answers.items()}
    targets = task.labels().targets(batch)
    whole = row_sums(metric, targets, outputs)
    if whole.ndim != 1:
        raise UnfitError(f"must return sums of the shape [k], returns {list(whole.shape)}")
    added = sum(
        row_sums(metric, targets[i : i + 1], {name: values[i : i + 1] for name, values in outputs.items()})
        for i in range(len(targets))
    )
    if np.shape(added) != whole.shape or not np.allclose(added, whole, rtol=1e-5, atol=1e-8, equal_nan=True):
        raise UnfitError(
            f"has the sums {_shown(whole)} of {len(targets)} rows, and {_shown(added)} if they are computed row by row and "
            "added: they must be the same"
        )
    value = metric.value(whole)
    if not isinstance(value, int | float | np.floating | np.integer):
        raise UnfitError(f"must have a number as value, returns {type(value).__name__}")
    if not np.isnan(value) and not known.lowest - 1e-6 <= value <= known.highest + 1e-6:
        raise UnfitError(
            f"has the value {value:g} for random answers, which is not in its range [{known.lowest:g}, {known.highest:g}]: "
            "correct lowest and highest"
        )


def _shown(sums: Any) -> str:
    return str(np.asarray(sums).tolist())[:120]
