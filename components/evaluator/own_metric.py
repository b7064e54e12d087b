"""The user's metrics, as TFMA metrics.

Named in an EvalConfig as `MetricConfig(class_name="OwnMetric", module="components.evaluator.own_metric")`. The class gets
the same arrays as in the training loop: labels as numbers, and all served outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from models.tasks.own_metric import made, row_sums
from models.tasks.task import TASKS


class OwnMetric(metric_types.Metric):
    """A metric of the user.

    `name` (the class's dotted path), `task` (a key of `TASKS`), `labels` (the label list) and `code` (a fingerprint, used only
    to re-run the Evaluator after a code edit) come from the MetricConfig's JSON.
    """

    def __init__(self, name: str, task: str, labels: Sequence[str], code: str = "") -> None:
        super().__init__(
            metric_util.merge_per_key_computations(_computations),
            name=name,
            task=task,
            labels=labels,
            code=code,
        )


def _computations(
    name: str = "",
    task: str = "",
    labels: Sequence[str] = (),
    code: str = "",
    model_name: str = "",
    output_name: str = "",
) -> list[Any]:
    del code
    source = metric_types.MetricKey(name=f"_sums_{name}", model_name=model_name, output_name=output_name)
    key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name)

    def result(metrics: Mapping[Any, Any]) -> dict[Any, float]:
        return {key: float(made(name, tuple(labels)).value(metrics[source]))}

    combiner = _Sums(source, name, task, tuple(labels))
    return [
        metric_types.MetricComputation(keys=[source], preprocessors=None, combiner=combiner),
        metric_types.DerivedMetricComputation(keys=[key], result=result),
    ]


class _Sums(beam.CombineFn):
    def __init__(self, key: Any, path: str, task: str, labels: tuple[str, ...]) -> None:
        self._key, self._path, self._task, self._labels = key, path, task, labels

    def create_accumulator(self) -> Any:
        return np.zeros(1)

    def add_input(self, accumulator: Any, element: Any) -> Any:
        label = element.get_labels(self._key.model_name)
        values = [] if label is None else np.asarray(label).reshape(-1).tolist()
        outputs = element.get_predictions(self._key.model_name, self._key.output_name)
        of_row = {name: np.asarray(value)[np.newaxis] for name, value in outputs.items()}
        targets = TASKS[self._task].figures().targets([values], self._labels)
        return accumulator + row_sums(made(self._path, self._labels), targets, of_row)

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        return sum(accumulators, np.zeros(1))

    def extract_output(self, accumulator: Any) -> dict[Any, Any]:
        return {self._key: accumulator}
