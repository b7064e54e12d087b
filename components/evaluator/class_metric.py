"""A metric of one class, with a name of its own, so that it can have thresholds as any other metric.

Named in an EvalConfig as `MetricConfig(class_name="ClassMetric", module="components.evaluator.class_metric")`.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2


class ClassMetric(metric_types.Metric):
    """The value of a class among those that another metric gives by class; NaN if it gives none for it.

    All arguments come from the MetricConfig's JSON: `name`, such as "f1 of spam"; `class_id`; `module`, `class_name` and
    `options` of the other metric, which is computed once for all of its classes.
    """

    def __init__(
        self, name: str, class_id: int, module: str, class_name: str, options: Mapping[str, Any]
    ) -> None:
        super().__init__(
            metric_util.merge_per_key_computations(_computations),
            name=name,
            class_id=class_id,
            module=module,
            class_name=class_name,
            options=options,
        )


def _computations(
    name: str = "",
    class_id: int = 0,
    module: str = "",
    class_name: str = "",
    options: Mapping[str, Any] | None = None,
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
) -> list[Any]:
    other = getattr(importlib.import_module(module), class_name)(**(options or {}))
    computations = other.computations(
        eval_config=eval_config,
        model_names=[model_name],
        output_names=[output_name],
        example_weighted=example_weighted,
    )
    of_class = metric_types.SubKey(class_id=class_id)
    [source] = [key for key in computations[-1].keys if key.sub_key == of_class]
    key = source._replace(name=name, sub_key=None)

    def result(metrics: Mapping[Any, Any]) -> dict[Any, float]:
        return {key: metrics.get(source, math.nan)}

    return [*computations, metric_types.DerivedMetricComputation(keys=[key], result=result)]
