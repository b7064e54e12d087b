"""The outcome of a run, read from the nodes' outputs without TFMA or TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.evaluator.evaluation import Evaluation, missing_slices, read_evaluation
from components.evaluator.settings import EvaluateSettings
from pipeline.local.node_run import NodeRun, OutputArtifact

if TYPE_CHECKING:
    from components.exports.report import ExportReport
    from components.report.data_statistics import SplitStatistics

Status = Literal["pushed", "cached", "refused", "failed", "interrupted"]
_REFUSALS_SHOWN = 6  # in the one-line reason; with slices there can be hundreds


@dataclass(frozen=True)
class Outcome:
    """Everything that the summary and `--json` show. `version` is the pushed one, None if nothing was pushed."""

    run_id: str
    status: Status
    seconds: float
    nodes: Sequence[NodeRun] = ()
    splits: Sequence[SplitStatistics] = ()
    warnings: Sequence[str] = ()  # from the gates before Transform, and about slices without rows
    evaluation: Evaluation = field(default_factory=Evaluation)
    blessed: bool | None = None
    pushed: bool = False
    version: int | None = None
    serving_dir: str = ""
    reason: str | None = None
    exports: Sequence[ExportReport] = ()
    report: str = ""  # path of the HTML page, relative if it is below the current folder

    @property
    def all_cached(self) -> bool:
        """Whether every node was cached."""
        return bool(self.nodes) and all(node.state == "cached" for node in self.nodes)


def gather(
    run_id: str,
    seconds: float,
    nodes: Sequence[NodeRun],
    label_column: str,
    serving_dir: Path,
    evaluate: EvaluateSettings,
    failure: tuple[Status, str] | None = None,
) -> Outcome:
    """Reads the outputs of the finished nodes.

    Args:
        nodes: every node of the pipeline in order, with its final state.
        label_column: raw column with the label.
        serving_dir: folder of the model's versions.
        evaluate: the config's section.
        failure: status and reason if the run did not finish.
    """
    by_id = {node.id: node for node in nodes}
    blessing = _only(by_id, "Evaluator", "blessing")
    pushed = _only(by_id, "Pusher", "pushed_model")
    evaluation = _evaluation(by_id, label_column)
    is_pushed = bool(pushed and pushed.properties.get("pushed") == 1)
    version = str(pushed.properties.get("pushed_version", "")) if pushed else ""
    blessed = None if blessing is None else blessing.properties.get("blessed") == 1
    exports = list(_exports(nodes))
    status, reason = _verdict(by_id, blessed, is_pushed, evaluation)
    not_exported = "; ".join(export.refused for export in exports if export.refused)
    if not_exported:
        status, reason = "refused", f"version {version} is pushed, but not exported: {not_exported}"
    if failure is not None:
        status, reason = failure[0], _after_the_gates(failure[1], by_id, version, reason)
    return Outcome(
        run_id=run_id,
        status=status,
        seconds=seconds,
        nodes=nodes,
        splits=_splits(by_id, label_column),
        warnings=[
            *_gate_warnings(by_id),
            *_parity_warnings(by_id),
            *missing_slices(evaluation, evaluate),
        ],
        evaluation=evaluation,
        blessed=blessed,
        pushed=is_pushed,
        version=int(version) if is_pushed and version.isdigit() else None,
        serving_dir=str(serving_dir),
        reason=reason,
        exports=exports,
        report=_report(by_id),
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
        return "refused", f"not pushed, rejected by the canary: {refused}"
    return "refused", "the Pusher pushed nothing"


def _after_the_gates(failure: str, nodes: Mapping[str, NodeRun], version: str, refusal: str | None) -> str:
    """Adds the gates' decision to the reason if a node after the Pusher, such as the Report, failed."""
    if "Pusher" not in nodes or nodes["Pusher"].state not in ("done", "cached"):
        return failure
    return f"{failure.removesuffix('.')}; before that: {refusal or f'pushed as version {version}'}"


def _exports(nodes: Sequence[NodeRun]) -> Iterator[ExportReport]:
    """Yields the reports of the Exporters that had a pushed model."""
    for artifact in (a for node in nodes for a in node.outputs.get("exported_model", ())):
        from components.exports.report import read_report

        report = read_report(Path(artifact.uri))
        if report.variants:
            yield report


def _report(nodes: Mapping[str, NodeRun]) -> str:
    page = _only(nodes, "Report", "page")
    if page is None:
        return ""
    from components.report.artifacts import INDEX_FILE

    path = Path(page.uri) / INDEX_FILE
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _canary_refusal(nodes: Mapping[str, NodeRun]) -> str:
    """Why the canary rejected the model; "" if it blessed it or did not run."""
    blessing = _only(nodes, "Canary", "blessing")
    if blessing is None or blessing.properties.get("blessed") == 1:
        return ""
    from components.canary.report import read_canary_report

    return "; ".join(read_canary_report(Path(blessing.uri)).reasons)


def _listed(refusals: Sequence[str]) -> str:
    shown = refusals[:_REFUSALS_SHOWN]
    more = [f"and {len(refusals) - len(shown)} more"] if len(refusals) > len(shown) else []
    return "; ".join([*shown, *more]) or "the evaluation gave no reason"


def _only(nodes: Mapping[str, NodeRun], node_id: str, key: str) -> OutputArtifact | None:
    outputs = nodes[node_id].outputs.get(key, ()) if node_id in nodes else ()
    return outputs[0] if outputs else None


# --- data ---------------------------------------------------------------------------------------


def _splits(nodes: Mapping[str, NodeRun], label_column: str) -> list[SplitStatistics]:
    statistics = _only(nodes, "StatisticsGen", "statistics")
    if statistics is None:
        return []
    from components.report.data_statistics import read_statistics

    return read_statistics(Path(statistics.uri), label_column)


def _gate_warnings(nodes: Mapping[str, NodeRun]) -> list[str]:
    report = _only(nodes, "DataGate", "report")
    if report is None:
        return []
    from components.data_gate.report import read_gate_report

    return [str(finding) for finding in read_gate_report(Path(report.uri)).findings]


def _parity_warnings(nodes: Mapping[str, NodeRun]) -> list[str]:
    """A line if rows differ, but not more than the config allows."""
    made = _only(nodes, "TokenizationGate", "report")
    if made is None:
        return []
    from components.tokenization_gate.report import read_parity_report

    report = read_parity_report(Path(made.uri))
    return [f"tokenization: {report}: {report.examples[0]}"] if report.rows_that_differ else []


def _evaluation(nodes: Mapping[str, NodeRun], label_column: str) -> Evaluation:
    artifact = _only(nodes, "Evaluator", "evaluation")
    return Evaluation() if artifact is None else read_evaluation(Path(artifact.uri), label_column)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The object that `run --json` prints; a metric that is NaN or infinite is null."""
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
        "warnings": list(outcome.warnings),
        "exports": [asdict(export) for export in outcome.exports],
    }


def _without_nan(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
