"""TFMA classification metrics of the predicted class (the argmax).

TFMA's own precision, recall and F1 binarize a multi-class model at a probability of 0.5, so a row
whose most probable class has 0.4 counts as no prediction. These metrics are derived from TFMA's multi-class
confusion matrix instead, which is computed for all of them in one pass over the rows.
Named in an EvalConfig as `MetricConfig(class_name="MacroF1", module="components.evaluator.metrics")`.

In addition to the metric itself (key without sub key), `MacroF1`, `MacroPrecision` and `MacroRecall` give the
value of each class under `SubKey(class_id=i)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.metrics.multi_class_confusion_matrix_metrics import (
    Matrices,
    multi_class_confusion_matrices,
)
from tensorflow_model_analysis.proto import config_pb2

from models.tasks.class_counts import ClassCounts, f1, macro, matthews, precision, recall


def class_counts(matrices: Matrices, classes: int) -> ClassCounts:
    """Counts from a confusion matrix at threshold 0; labels outside 0..classes-1 count as errors.

    `{0.0: {(0, 0): 3.0, (0, 1): 1.0}} -> labelled [4, 0], predicted [3, 1], correct [3, 0]`
    """
    labelled, predicted, correct = np.zeros(classes), np.zeros(classes), np.zeros(classes)
    for (actual, chosen), count in next(iter(matrices.values()), {}).items():
        if 0 <= actual < classes:
            labelled[actual] += count
        if 0 <= chosen < classes:
            predicted[chosen] += count
        if actual == chosen and 0 <= actual < classes:
            correct[actual] += count
    return ClassCounts(labelled, predicted, correct)


def _accuracy(counts: ClassCounts, rows: float) -> float:
    return float(counts.correct.sum() / rows) if rows else float("nan")


def _rows(matrices: Matrices) -> float:
    return float(sum(next(iter(matrices.values()), {}).values()))


class _MatrixMetric(metric_types.Metric):
    """A metric derived from the confusion matrix.

    `name`, `classes` (how many) and `code` (a fingerprint of this package, used only to re-run the
    Evaluator after a code edit) come from the MetricConfig's JSON.
    """

    compute: Callable[..., Mapping[int | None, float]]

    def __init__(self, name: str, classes: int, code: str = "") -> None:
        super().__init__(
            metric_util.merge_per_key_computations(self._computations), name=name, classes=classes, code=code
        )

    @classmethod
    def _computations(
        cls,
        name: str = "",
        classes: int = 0,
        code: str = "",
        eval_config: config_pb2.EvalConfig | None = None,
        model_name: str = "",
        output_name: str = "",
        example_weighted: bool = False,
    ) -> list[Any]:
        del code
        matrices = multi_class_confusion_matrices(
            thresholds=[0.0],
            eval_config=eval_config,
            model_name=model_name,
            output_name=output_name,
            example_weighted=example_weighted,
        )
        matrices_key = matrices[-1].keys[-1]

        def key(class_id: int | None) -> Any:
            return metric_types.MetricKey(
                name=name,
                model_name=model_name,
                output_name=output_name,
                sub_key=None if class_id is None else metric_types.SubKey(class_id=class_id),
                example_weighted=example_weighted,
            )

        def result(metrics: Mapping[Any, Matrices]) -> dict[Any, float]:
            counted = class_counts(metrics[matrices_key], classes)
            values = cls.compute(counted, _rows(metrics[matrices_key]))
            return {key(class_id): value for class_id, value in values.items()}

        keys = [key(class_id) for class_id in cls.class_ids(classes)]
        return [*matrices, metric_types.DerivedMetricComputation(keys=keys, result=result)]

    @staticmethod
    def class_ids(classes: int) -> list[int | None]:
        """The sub keys that `compute` returns."""
        del classes
        return [None]


class _PerClassMetric(_MatrixMetric):
    @staticmethod
    def class_ids(classes: int) -> list[int | None]:
        return [None, *range(classes)]


def _with_macro(values: np.ndarray, counts: ClassCounts) -> dict[int | None, float]:
    """The value of each class, and the unweighted mean over the classes that occur (as in scikit-learn).

    A class that is neither labelled nor predicted says nothing about the model: in a slice with one
    label, the mean of a model without errors would otherwise be 1/classes.
    """
    return {None: macro(values, counts), **{i: float(v) for i, v in enumerate(values)}}


class Accuracy(_MatrixMetric):
    """Share of rows whose most probable class is the label (equal to micro F1)."""

    @staticmethod
    def compute(counts: ClassCounts, rows: float) -> dict[int | None, float]:
        return {None: _accuracy(counts, rows)}


class MacroF1(_PerClassMetric):
    """F1 of each class and their unweighted mean."""

    @staticmethod
    def compute(counts: ClassCounts, rows: float) -> dict[int | None, float]:
        del rows
        return _with_macro(f1(counts), counts)


class MacroPrecision(_PerClassMetric):
    """Precision of each class and their unweighted mean."""

    @staticmethod
    def compute(counts: ClassCounts, rows: float) -> dict[int | None, float]:
        del rows
        return _with_macro(precision(counts), counts)


class MacroRecall(_PerClassMetric):
    """Recall of each class and their unweighted mean (balanced accuracy)."""

    @staticmethod
    def compute(counts: ClassCounts, rows: float) -> dict[int | None, float]:
        del rows
        return _with_macro(recall(counts), counts)


class MatthewsCorrelation(_MatrixMetric):
    """Matthews' correlation of labels and predicted classes."""

    @staticmethod
    def compute(counts: ClassCounts, rows: float) -> dict[int | None, float]:
        return {None: matthews(counts, rows)}
