"""Reads the Evaluator's metrics from TFMA's files, without TFMA or TensorFlow, and checks their bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from components.evaluator.settings import EvaluateSettings, ThresholdSettings
from components.example_gen.tfrecord import read_records
from models.tasks.task import TASKS, metric

CANDIDATE, BASELINE = "candidate", "baseline"
# A drop of exactly max_drop must pass despite floating-point rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Evaluation:
    """Metrics of the evaluation split: metric -> value, and per class: metric -> class id -> value."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    baseline: Mapping[str, float] | None = None
    per_class: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    per_class_baseline: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    slices_baseline: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sliced_by: frozenset[frozenset[str]] = frozenset()  # the columns of each slicing that has rows
    refusals: tuple[str, ...] = ()


def read_evaluation(folder: Path, label: str = "") -> Evaluation:
    """Reads the output `evaluation` of the Evaluator.

    Args:
        folder: has TFMA's metrics*.tfrecord and validations*.tfrecord.
        label: raw column of the label. Slices by it have one class each, so they get no averages over classes.
    """
    # TFMA's messages require these two imports, in this order, but do not import them.
    import google.protobuf.wrappers_pb2  # noqa: F401
    import tensorflow_model_analysis.proto.config_pb2  # noqa: F401
    from tensorflow_model_analysis.proto import metrics_for_slice_pb2, validation_result_pb2

    slices = [metrics_for_slice_pb2.MetricsForSlice.FromString(r) for r in _records(folder, "metrics")]
    validations = [
        validation_result_pb2.ValidationResult.FromString(r) for r in _records(folder, "validations")
    ]
    overall = next((s for s in slices if not s.slice_key.single_slice_keys), None)
    entries = list(_entries(overall)) if overall is not None else []
    candidate, baseline = _of_both(entries)
    sliced = [s for s in slices if s.slice_key.single_slice_keys]
    parts = {_slice_name(s.slice_key): _of_both(_slice_entries(s, label)) for s in sliced}
    return Evaluation(
        metrics=candidate,
        baseline=baseline or None,
        per_class=_per_class(e for e in entries if e.model != BASELINE),
        per_class_baseline=_per_class(e for e in entries if e.model == BASELINE),
        slices={name: values for name, (values, _) in parts.items()},
        slices_baseline={name: values for name, (_, values) in parts.items() if values},
        sliced_by=frozenset(_columns(s.slice_key) for s in sliced),
        refusals=tuple(dict.fromkeys(line for v in validations for line in _refusals(v, slices))),
    )


def missing_slices(evaluation: Evaluation, settings: EvaluateSettings) -> Iterator[str]:
    """Yields a message for each configured slicing for which no row of the split has a value."""
    for slicing in settings.slices if evaluation.metrics else ():
        if frozenset(slicing.columns) not in evaluation.sliced_by:
            columns = ", ".join(slicing.columns)
            yield f"evaluate.slices: no row of split {settings.split!r} has a value in {columns}, so there is no such slice"


def format_bounds(bounds: ThresholdSettings) -> str:
    """`{min: 0.93, max_drop: 0.01} -> "at least 0.93, at most 0.01 worse"`."""
    parts = (
        (bounds.min, "at least {:g}"),
        (bounds.max, "at most {:g}"),
        (bounds.max_worse, "at most {:g} worse"),
    )
    return ", ".join(text.format(value) for value, text in parts if value is not None)


def holds(name: str, bounds: ThresholdSettings, value: float, baseline: float | None) -> bool:
    """Whether a metric is within its bounds; `max_drop` and `max_rise` apply only if there is a baseline."""
    worse = 0.0 if baseline is None else metric(name).worse_by(value, baseline)
    return (
        (bounds.min is None or value >= bounds.min)
        and (bounds.max is None or value <= bounds.max)
        and (bounds.max_worse is None or worse <= bounds.max_worse + ROUNDING)
    )


class _Entry(NamedTuple):
    name: str
    model: str
    class_id: int | None
    value: float


def _of_both(entries: Iterable[_Entry]) -> tuple[dict[str, float], dict[str, float]]:
    """Metrics of the candidate and of the baseline, without those of single classes."""
    both: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for entry in entries:
        if entry.class_id is None:
            both[entry.model == BASELINE][entry.name] = entry.value
    return both


def _records(folder: Path, stem: str) -> Iterator[bytes]:
    for path in sorted(p for p in folder.glob(f"{stem}*") if p.is_file()):
        with path.open("rb") as file:
            yield from read_records(file, str(path))


def _entries(metrics: Any) -> Iterator[_Entry]:
    for entry in metrics.metric_keys_and_values:
        key = entry.key
        value = _number(entry.value)
        if value is not None and not key.is_diff:
            class_id = key.sub_key.class_id.value if key.sub_key.HasField("class_id") else None
            yield _Entry(key.name, key.model_name, class_id, value)


def _number(value: Any) -> float | None:
    kind = value.WhichOneof("type")
    if kind == "double_value":
        return float(value.double_value.value)
    if kind == "bounded_value":
        return float(value.bounded_value.value.value)
    return None


def _per_class(entries: Iterable[_Entry]) -> dict[str, dict[int, float]]:
    by_metric: dict[str, dict[int, float]] = {}
    for entry in entries:
        if entry.class_id is not None:
            by_metric.setdefault(entry.name, {})[entry.class_id] = entry.value
    # The last one ranks classes, which is the default task's. Tasks may have other metrics for a measure.
    shown = [pair for task in reversed(TASKS.values()) for pair in task.facts().PER_CLASS.items()]
    return {name: by_metric[values] for name, values in shown if values in by_metric}


def _slice_entries(metrics: Any, label: str) -> Iterator[_Entry]:
    by_label = label in _columns(metrics.slice_key)
    return (entry for entry in _entries(metrics) if not (by_label and metric(entry.name).over_classes))


def _columns(slice_key: Any) -> frozenset[str]:
    return frozenset(key.column for key in slice_key.single_slice_keys)


def _slice_name(slice_key: Any) -> str:
    """`lang=de, topic=sport`; "" for the whole split."""
    return ", ".join(f"{k.column}={_slice_value(k)}" for k in slice_key.single_slice_keys)


def _slice_value(key: Any) -> Any:
    value = getattr(key, key.WhichOneof("kind"))
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _refusals(validation: Any, slices: Sequence[Any]) -> Iterator[str]:
    """Yields a reason for each bound that does not hold."""
    if validation.missing_thresholds:
        yield "no metric with a threshold was computed"
    for missing in validation.missing_slices:
        columns = ", ".join(missing.feature_keys)
        yield f"a slice with thresholds ({columns}) has no row in the evaluation split"
    whole_split_first = sorted(
        validation.metric_validations_per_slice, key=lambda v: _slice_name(v.slice_key)
    )
    for per_slice in whole_split_first:
        where = _slice_name(per_slice.slice_key)
        for failure in per_slice.failures:
            reason = _refusal(failure, _values(slices, per_slice.slice_key))
            yield reason + (f" on slice {where}" if where else "")


def _values(slices: Sequence[Any], slice_key: Any) -> dict[tuple[str, str], float]:
    same = [s for s in slices if s.slice_key == slice_key]
    return {(e.model, e.name): e.value for s in same for e in _entries(s) if e.class_id is None}


def _refusal(failure: Any, values: Mapping[tuple[str, str], float]) -> str:
    name, bound = failure.metric_key.name, failure.metric_threshold
    value = values.get((CANDIDATE, name), values.get(("", name)))
    if value is None:
        return f"{name} could not be computed" + (f" ({failure.message})" if failure.message else "")
    if math.isnan(value):
        return f"{name} is undefined (too few different labels)"
    baseline = values.get((BASELINE, name))
    if failure.metric_key.is_diff and baseline is not None:
        worse = metric(name).worse_by(value, baseline)
        return (
            f"{name} {_shown(value)} is {_shown(worse)} worse than the last blessed model's {_shown(baseline)} "
            f"(at most {_shown(abs(bound.change_threshold.absolute.value))} is allowed)"
        )
    limits = bound.value_threshold
    if limits.HasField("lower_bound") and not value >= limits.lower_bound.value:
        return f"{name} {_shown(value)} is below the threshold {_shown(limits.lower_bound.value)}"
    if limits.HasField("upper_bound") and not value <= limits.upper_bound.value:
        return f"{name} {_shown(value)} is above the threshold {_shown(limits.upper_bound.value)}"
    return f"{name} {_shown(value)} does not meet its threshold"


def _shown(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
