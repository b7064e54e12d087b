"""Metrics that a task computes itself, as a TFMA metric.

TFMA's own metrics of single classes make one computation for each class and metric: with 1,000 labels they take hours.
Here one combiner adds up (or keeps) what the task's module `evaluation` makes of each row, for all metrics of the task.
It reads all served outputs, not only the answer. Named in an EvalConfig as
`MetricConfig(class_name="TaskMetric", module="components.evaluator.task_metrics")`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from models.tasks.task import TASKS, Evaluation

_SUMS, _ROWS = "task_sums", "task_rows"


class TaskMetric(metric_types.Metric):
    """A metric of a task. Its value has no sub key; its values by class have `SubKey(class_id=i)`.

    `name`, `task` (a key of `TASKS`), `classes` (how many) and `code` (a fingerprint, used only to re-run the Evaluator
    after a code edit) come from the MetricConfig's JSON.
    """

    def __init__(self, name: str, task: str, classes: int, code: str = "") -> None:
        super().__init__(
            metric_util.merge_per_key_computations(_computations),
            name=name,
            task=task,
            classes=classes,
            code=code,
        )


def _computations(
    name: str = "",
    task: str = "",
    classes: int = 0,
    code: str = "",
    model_name: str = "",
    output_name: str = "",
) -> list[Any]:
    del code
    evaluation = TASKS[task].evaluation()
    needs_rows = name in evaluation.NEEDS_ROWS
    source = metric_types.MetricKey(
        name=f"_{task}_{_ROWS if needs_rows else _SUMS}", model_name=model_name, output_name=output_name
    )
    combiner = (_Rows if needs_rows else _Sums)(source, task)

    def key(class_id: int | None) -> Any:
        sub_key = None if class_id is None else metric_types.SubKey(class_id=class_id)
        return metric_types.MetricKey(
            name=name, model_name=model_name, output_name=output_name, sub_key=sub_key
        )

    def result(metrics: Any) -> dict[Any, float]:
        compute = evaluation.from_rows if needs_rows else evaluation.from_sums
        return {key(class_id): value for class_id, value in compute(name, metrics[source]).items()}

    # All computations with the same key and combiner are one for TFMA.
    shared = metric_types.MetricComputation(keys=[source], preprocessors=None, combiner=combiner)
    keys = [key(class_id) for class_id in (None, *range(classes))]
    return [shared, metric_types.DerivedMetricComputation(keys=keys, result=result)]


class _OfTask(beam.CombineFn):
    def __init__(self, key: Any, task: str) -> None:
        self._key, self._task = key, task

    @property
    def _evaluation(self) -> Evaluation:
        return TASKS[self._task].evaluation()

    def _row(self, element: Any) -> Any:
        outputs = element.get_predictions(self._key.model_name, self._key.output_name)
        return self._evaluation.row(element.get_labels(self._key.model_name), outputs)


class _Sums(_OfTask):
    """Adds up the task's `sums` of each row: memory does not grow with rows."""

    def create_accumulator(self) -> Any:
        return np.zeros(1)

    def add_input(self, accumulator: Any, element: Any) -> Any:
        return accumulator + self._evaluation.sums(self._row(element))

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        return sum(accumulators, np.zeros(1))

    def extract_output(self, accumulator: Any) -> dict[Any, Any]:
        return {self._key: accumulator}


class _Rows(_OfTask):
    """Keeps the arrays of each row."""

    def create_accumulator(self) -> Any:
        return []

    def add_input(self, accumulator: Any, element: Any) -> Any:
        accumulator.append(self._row(element))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        return [row for accumulator in accumulators for row in accumulator]

    def extract_output(self, accumulator: Any) -> dict[Any, Any]:
        return {self._key: [np.stack(arrays) for arrays in zip(*accumulator, strict=True)]}
