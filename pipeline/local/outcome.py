"""What came out of a run, read from the nodes' outputs: a light reading, without TFMA or TensorFlow."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from components.evaluator.settings import LOWER_IS_BETTER
from components.example_gen.tfrecord import read_records
from pipeline.local.node_run import NodeRun, OutputArtifact

Status = Literal["pushed", "cached", "refused", "failed", "interrupted"]
CANDIDATE, BASELINE = "candidate", "baseline"
_REFUSALS_TOLD = 6  # in the one-line reason; slices can make it hundreds
# What is shown of each class, and the metric whose per-class values it is.
PER_CLASS = {"precision": "macro_precision", "recall": "macro_recall", "f1": "macro_f1"}


class Split(NamedTuple):
    """Rows of one split and, where the statistics list them, rows of each label."""

    name: str
    rows: int
    labels: Mapping[str, int]


@dataclass(frozen=True)
class Evaluation:
    """Metrics of the whole evaluation split, metric -> value; per class it is metric -> class id -> value."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    baseline: Mapping[str, float] | None = None
    per_class: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    per_class_baseline: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Everything that the summary and `--json` tell. `version` is the pushed one, None if none was."""

    run_id: str
    status: Status
    seconds: float
    nodes: Sequence[NodeRun] = ()
    splits: Sequence[Split] = ()
    warnings: Sequence[str] = ()  # of the data gate
    evaluation: Evaluation = Evaluation()
    blessed: bool | None = None
    pushed: bool = False
    version: int | None = None
    serving_dir: str = ""
    reason: str | None = None

    @property
    def all_cached(self) -> bool:
        """Whether no node did any work."""
        return bool(self.nodes) and all(node.state == "cached" for node in self.nodes)


def gather(
    run_id: str,
    seconds: float,
    nodes: Sequence[NodeRun],
    label_column: str,
    serving_dir: Path,
    failure: tuple[Status, str] | None = None,
) -> Outcome:
    """Reads what the finished nodes left.

    Args:
        nodes: every node of the pipeline in order, with its final state.
        label_column: raw column with the label.
        serving_dir: folder of the model's versions.
        failure: status and reason when the run did not come to its end.
    """
    by_id = {node.id: node for node in nodes}
    blessing = _only(by_id, "Evaluator", "blessing")
    pushed = _only(by_id, "Pusher", "pushed_model")
    evaluation = _evaluation(by_id)
    is_pushed = bool(pushed and pushed.properties.get("pushed") == 1)
    version = str(pushed.properties.get("pushed_version", "")) if pushed else ""
    blessed = None if blessing is None else blessing.properties.get("blessed") == 1
    status, reason = failure or _verdict(by_id, blessed, is_pushed, evaluation)
    return Outcome(
        run_id=run_id,
        status=status,
        seconds=seconds,
        nodes=nodes,
        splits=_splits(by_id, label_column),
        warnings=_gate_warnings(by_id),
        evaluation=evaluation,
        blessed=blessed,
        pushed=is_pushed,
        version=int(version) if is_pushed and version.isdigit() else None,
        serving_dir=str(serving_dir),
        reason=reason,
    )


def _verdict(
    nodes: Mapping[str, NodeRun], blessed: bool | None, pushed: bool, evaluation: Evaluation
) -> tuple[Status, str | None]:
    if pushed:
        return ("cached" if nodes["Pusher"].state == "cached" else "pushed"), None
    if blessed is False:
        return "refused", f"not blessed: {_listed(evaluation.refusals)}"
    refused = _canary_refusal(nodes)
    if refused:
        return "refused", f"not pushed, the canary refuses the model: {refused}"
    return "refused", "the Pusher pushed nothing"


def _canary_refusal(nodes: Mapping[str, NodeRun]) -> str:
    """What the canary has against the model; "" when it blessed it or did not run."""
    blessing = _only(nodes, "Canary", "blessing")
    if blessing is None or blessing.properties.get("blessed") == 1:
        return ""
    from components.canary.report import REPORT_FILE

    report = json.loads(Path(blessing.uri, REPORT_FILE).read_text(encoding="utf-8"))
    return "; ".join(report["reasons"])


def _listed(refusals: Sequence[str]) -> str:
    told = refusals[:_REFUSALS_TOLD]
    more = [f"and {len(refusals) - len(told)} more"] if len(refusals) > len(told) else []
    return "; ".join([*told, *more]) or "the evaluation gave no reason"


def _only(nodes: Mapping[str, NodeRun], node_id: str, key: str) -> OutputArtifact | None:
    outputs = nodes[node_id].outputs.get(key, ()) if node_id in nodes else ()
    return outputs[0] if outputs else None


# --- data ---------------------------------------------------------------------------------------


def _splits(nodes: Mapping[str, NodeRun], label_column: str) -> list[Split]:
    statistics = _only(nodes, "StatisticsGen", "statistics")
    if statistics is None:
        return []
    from tensorflow_metadata.proto.v0 import statistics_pb2

    splits = []
    for file in sorted(Path(statistics.uri).glob("Split-*/FeatureStats.pb")):
        listed = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
        for dataset in listed.datasets[:1]:
            labels = _label_counts(dataset, label_column)
            splits.append(Split(file.parent.name.removeprefix("Split-"), dataset.num_examples, labels))
    return splits


def _label_counts(dataset: Any, label_column: str) -> dict[str, int]:
    for feature in dataset.features:
        if label_column in (feature.name, *feature.path.step):
            buckets = feature.string_stats.rank_histogram.buckets
            return {bucket.label: int(bucket.sample_count) for bucket in buckets}
    return {}


def _gate_warnings(nodes: Mapping[str, NodeRun]) -> list[str]:
    report = _only(nodes, "DataGate", "report")
    if report is None:
        return []
    from components.data_gate.artifacts import REPORT_FILE

    findings = json.loads(Path(report.uri, REPORT_FILE).read_text(encoding="utf-8"))["findings"]
    return [finding["message"] for finding in findings]


# --- metrics ------------------------------------------------------------------------------------


def _evaluation(nodes: Mapping[str, NodeRun]) -> Evaluation:
    artifact = _only(nodes, "Evaluator", "evaluation")
    if artifact is None:
        return Evaluation()
    # TFMA's messages need these two, and rely on others having imported them: the order counts.
    import google.protobuf.wrappers_pb2  # noqa: F401
    import tensorflow_model_analysis.proto.config_pb2  # noqa: F401
    from tensorflow_model_analysis.proto import metrics_for_slice_pb2, validation_result_pb2

    folder = Path(artifact.uri)
    slices = [metrics_for_slice_pb2.MetricsForSlice.FromString(r) for r in _records(folder, "metrics")]
    validations = [
        validation_result_pb2.ValidationResult.FromString(r) for r in _records(folder, "validations")
    ]
    overall = next((s for s in slices if not s.slice_key.single_slice_keys), None)
    entries = list(_entries(overall)) if overall is not None else []
    baseline = {e.name: e.value for e in entries if e.model == BASELINE and e.class_id is None}
    return Evaluation(
        metrics={e.name: e.value for e in entries if e.model != BASELINE and e.class_id is None},
        baseline=baseline or None,
        per_class=_per_class(e for e in entries if e.model != BASELINE),
        per_class_baseline=_per_class(e for e in entries if e.model == BASELINE),
        slices={
            _slice_name(s.slice_key): {
                e.name: e.value for e in _entries(s) if e.model != BASELINE and e.class_id is None
            }
            for s in slices
            if s.slice_key.single_slice_keys
        },
        refusals=tuple(dict.fromkeys(line for v in validations for line in _refusals(v, slices))),
    )


class _Entry(NamedTuple):
    name: str
    model: str
    class_id: int | None
    value: float


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
    return {shown: by_metric[metric] for shown, metric in PER_CLASS.items() if metric in by_metric}


def _slice_name(slice_key: Any) -> str:
    """`lang=de, topic=sport`; empty for the whole split."""
    return ", ".join(f"{k.column}={_slice_value(k)}" for k in slice_key.single_slice_keys)


def _slice_value(key: Any) -> Any:
    value = getattr(key, key.WhichOneof("kind"))
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _refusals(validation: Any, slices: Sequence[Any]) -> Iterator[str]:
    """One clause for each bound that does not hold."""
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
    baseline = values.get((BASELINE, name))
    if failure.metric_key.is_diff and baseline is not None:
        worse = value - baseline if name in LOWER_IS_BETTER else baseline - value
        return (
            f"{name} {_shown(value)} is {_shown(worse)} worse than the last blessed model's {_shown(baseline)} "
            f"(at most {_shown(abs(bound.change_threshold.absolute.value))} is allowed)"
        )
    limits = bound.value_threshold
    if limits.HasField("lower_bound") and not value >= limits.lower_bound.value:
        return f"{name} {_shown(value)} is below the threshold {_shown(limits.lower_bound.value)}"
    if limits.HasField("upper_bound") and not value <= limits.upper_bound.value:
        return f"{name} {_shown(value)} is above the threshold {_shown(limits.upper_bound.value)}"
    return f"{name} {_shown(value)} does not hold its threshold"


def _shown(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The object that `run --json` prints; a metric that is not a number is null."""
    return {
        "run_id": outcome.run_id,
        "status": outcome.status,
        "blessed": outcome.blessed,
        "pushed": outcome.pushed,
        "version": outcome.version,
        "metrics": _without_nan(outcome.evaluation.metrics),
        "baseline_metrics": _without_nan(outcome.evaluation.baseline)
        if outcome.evaluation.baseline
        else None,
        "nodes": [{"id": n.id, "state": n.state, "seconds": round(n.seconds, 3)} for n in outcome.nodes],
        "seconds": round(outcome.seconds, 3),
        "serving_dir": outcome.serving_dir,
        "reason": outcome.reason,
    }


def _without_nan(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
