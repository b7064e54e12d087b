"""The user's metrics: a class that a config names by its dotted path, which is the metric's name everywhere.

    class ExpectedCost:
        title = "expected cost"
        lowest, highest, lower_is_better = 0.0, 10.0, True

        def __init__(self, labels): ...
        def sums(self, targets, outputs): ...  # of some rows -> float64 [k], added over all rows
        def value(self, sums): ...  # -> number

Imports only NumPy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from models.errors import UsageError
from models.own_parts import load_part
from models.tasks.metric import OWN, Metric

if TYPE_CHECKING:
    import numpy as np

_DEFAULTS: Mapping[str, Any] = {
    "lowest": 0.0,
    "highest": 1.0,
    "lower_is_better": False,
    "over_classes": False,
}


class OwnMetric(Protocol):
    """An instance of the user's class; its attributes are those of `properties`."""

    def sums(self, targets: np.ndarray, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the metric needs of some rows, float64 [k], so that that of all rows is the sum.

        Args:
            targets: labels as the task's `Figures.targets` gives them, [rows].
            outputs: served outputs by name, [rows, ...]; strings are bytes.
        """

    def value(self, sums: np.ndarray) -> float:
        """The metric of all rows; NaN if there is none."""


@functools.cache
def properties(path: str) -> Metric:
    """What a class says about its metric: `title`, and `lowest`, `highest`, `lower_is_better`, `over_classes` if they differ.

    Raises:
        UsageError: it cannot be loaded, or an attribute is missing or of another type.
    """
    of_class = load_part(path)
    title = getattr(of_class, "title", None)
    if not isinstance(title, str) or not title.strip():
        raise UsageError(
            f"{path}: the class must have the attribute title, the metric's name in charts, got {title!r}"
        )
    given = {key: getattr(of_class, key, default) for key, default in _DEFAULTS.items()}
    for key, value in given.items():
        wanted = bool if isinstance(_DEFAULTS[key], bool) else (int, float)
        if not isinstance(value, wanted) or (
            wanted is not bool and (isinstance(value, bool) or math.isnan(value))
        ):
            raise UsageError(
                f"{path}: {key} must be {'True or False' if wanted is bool else 'a number'}, got {value!r}"
            )
    if not given["lowest"] < given["highest"]:
        raise UsageError(
            f"{path}: lowest must be less than highest, got {given['lowest']} and {given['highest']}"
        )
    return Metric(title, OWN, **given)


@functools.cache
def made(path: str, labels: tuple[str, ...]) -> OwnMetric:
    """The metric for a label list.

    Raises:
        UsageError: the class cannot be loaded.
    """
    return cast(OwnMetric, load_part(path)(list(labels)))


def row_sums(metric: OwnMetric, targets: np.ndarray, outputs: Mapping[str, Any]) -> np.ndarray:
    """`sums`, as float64."""
    import numpy as np  # not every command that names a metric needs it

    return np.asarray(metric.sums(targets, outputs), np.float64)


def split_values(
    paths: Sequence[str], labels: Sequence[str], sums: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """The values of metrics from the sums of a split."""
    return {path: float(made(path, tuple(labels)).value(sums[path])) for path in paths}
