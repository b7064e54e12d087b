"""The summary at the end of a run: data, steps, metrics, where the model was pushed, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from components.evaluator.evaluation import Evaluation, format_bounds, holds
from components.evaluator.settings import EvaluateSettings, ThresholdSettings
from components.exports.report import LATENCY_ROWS, ExportReport, Figures
from components.versions.store import versions
from models.own_parts import is_own
from models.tasks.task import Task, metric
from pipeline.local.outcome import Outcome
from pipeline.process.command_line import to_paste
from pipeline.process.shown import SYMBOLS, duration

_LABELS_SHOWN = 20  # of a long label list only the weakest classes are shown


def print_summary(
    console: Console,
    outcome: Outcome,
    evaluate: EvaluateSettings,
    labels: Sequence[str],
    task: Task,
    config: Sequence[str],
    log_path: Path,
) -> None:
    """Prints the summary of a run that finished, blessed or not.

    Args:
        task: what the model learned.
        config: the config's arguments on the command line, `["tiny.yaml", "--set", "train.epochs=1"]`.
    """
    for title, body in (
        ("Data", _data(outcome)),
        ("Steps", _steps(outcome)),
        (f"Metrics on the {evaluate.split} split", _metrics(outcome.evaluation, evaluate)),
        ("By class", _classes(outcome.evaluation, labels)),
        ("By slice", _slices(outcome.evaluation, task)),
        ("Exports, compared with the served model on the eval split", _exports(outcome.exports)),
    ):
        if body is not None:
            console.print(Text(f"\n{title}", "bold"))
            console.print(body)
        if title == "Data":
            for warning in outcome.warnings:
                console.print(Text(f"  warning: {warning}", "yellow"), soft_wrap=True)
    console.print()
    for line in _verdict(outcome, config, log_path):
        console.print(line, soft_wrap=True)


def _table(*columns: str, whole_names: bool = False) -> Table:
    """A table whose first column names the rows: on a narrow terminal a long name is wrapped, never cut.

    Args:
        whole_names: never wrap the names, because they are short; other columns become narrower instead.
    """
    table = Table(box=None, padding=(0, 1, 0, 2), header_style="dim")
    first, *others = columns
    table.add_column(first, overflow="fold", no_wrap=whole_names)
    for column in others:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _data(outcome: Outcome) -> RenderableType | None:
    if not outcome.splits:
        return None
    labels = list(dict.fromkeys(label for split in outcome.splits for label in split.labels))
    shown = labels if len(labels) <= 12 else []
    table = _table("split", "rows", *(shown or (["labels"] if labels else [])))
    for split in sorted(outcome.splits, key=lambda s: -s.rows):
        counts = [f"{split.labels.get(label, 0):,}" for label in shown]
        table.add_row(
            split.name, f"{split.rows:,}", *(counts or ([str(len(split.labels))] if labels else []))
        )
    return table


def _steps(outcome: Outcome) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for node in outcome.nodes:
        symbol, style = SYMBOLS.get(node.state, ("·", "dim"))
        result = duration(node.seconds) if node.state in ("done", "failed", "interrupted") else node.state
        table.add_row(
            Text(f"  {symbol}", style), node.id, Text(result, style if node.state == "cached" else "")
        )
    return table


def _metrics(evaluation: Evaluation, evaluate: EvaluateSettings) -> RenderableType | None:
    if not evaluation.metrics:
        return None
    baseline = evaluation.baseline
    compared = ["last blessed", "change"] if baseline else []
    names = dict.fromkeys([*evaluate.bounds, *evaluate.metrics, *evaluation.metrics])
    table = _table("metric", "value", *compared, "threshold", "", whole_names=True)
    for name in (name for name in names if name in evaluation.metrics):
        value = evaluation.metrics[name]
        bounds = evaluate.bounds.get(name)
        before = _before(name, value, baseline) if baseline else []
        table.add_row(
            name,
            _number(name, value),
            *before,
            format_bounds(bounds) if bounds else "",
            _mark(name, value, baseline, bounds),
        )
    return table


def _before(name: str, value: float, baseline: Mapping[str, float]) -> list[RenderableType]:
    if name not in baseline:
        return ["", ""]
    change = value - baseline[name]
    known = metric(name)
    better = known.worse_by(value, baseline[name]) < 0
    style = "" if abs(change) < 5e-5 or known.counts_rows else "green" if better else "yellow"
    return [_number(name, baseline[name]), Text("" if known.counts_rows else f"{change:+.4f}", style)]


def _number(name: str, value: float) -> str:
    return f"{value:,.0f}" if metric(name).counts_rows else f"{value:.4f}"


def _mark(
    name: str, value: float, baseline: Mapping[str, float] | None, bounds: ThresholdSettings | None
) -> RenderableType:
    if bounds is None:
        return ""
    within = holds(name, bounds, value, (baseline or {}).get(name))
    return Text("✓", "green") if within else Text("✗", "bold red")


def _classes(evaluation: Evaluation, labels: Sequence[str]) -> RenderableType | None:
    if not evaluation.per_class:
        return None
    measures = list(evaluation.per_class)
    by_f1 = evaluation.per_class[measures[-1]]
    shown = sorted(by_f1)
    if len(shown) > _LABELS_SHOWN:
        shown = sorted(shown, key=lambda i: by_f1[i])[:_LABELS_SHOWN]
    before = evaluation.per_class_baseline.get(measures[-1], {})
    compared = [f"{measures[-1]} of last blessed", "change"] if before else []
    title = "class" if len(shown) == len(by_f1) else f"class (the weakest {len(shown)})"
    table = _table(title, *measures, *compared)
    for class_id in shown:
        label = labels[class_id] if class_id < len(labels) else str(class_id)
        values = (evaluation.per_class[m].get(class_id) for m in measures)
        change = _class_change(by_f1[class_id], before[class_id]) if class_id in before else []
        table.add_row(Text(label), *("" if v is None else f"{v:.3f}" for v in values), *change)
    return table


def _class_change(value: float, before: float) -> list[RenderableType]:
    change = value - before
    style = "" if abs(change) < 5e-4 else "green" if change > 0 else "yellow"
    return [f"{before:.3f}", Text(f"{change:+.3f}", style)]


def _slices(evaluation: Evaluation, task: Task) -> RenderableType | None:
    if not evaluation.slices:
        return None
    shown = [*task.facts().SLICE_METRICS, *filter(is_own, evaluation.metrics)]
    names = [name for name in shown if any(name in values for values in evaluation.slices.values())]
    table = _table("slice", *names)
    for slice_name, metrics in sorted(evaluation.slices.items()):
        table.add_row(Text(slice_name), *(_number(n, metrics[n]) if n in metrics else "" for n in names))
    return table


def _exports(exports: Sequence[ExportReport]) -> RenderableType | None:
    if not exports:
        return None
    table = _table(
        "format", "size", *(f"ms, batch {n}" for n in LATENCY_ROWS), "metric", "value", "change", ""
    )
    for export in exports:
        served = ["served model", *_export_figures(export.served), export.metric]
        table.add_row(*served, "" if export.served is None else f"{export.served.value:.4f}", "", "")
        for variant in export.variants:
            value = "" if variant.figures is None else f"{variant.figures.value:.4f}"
            change = "" if variant.difference is None else f"{variant.difference:+.4f}"
            mark = Text("✗", "bold red") if variant.reason else Text("✓", "green")
            cells = [*_export_figures(variant.figures), export.metric, value, change]
            table.add_row(f"{export.format} {variant.name}", *cells, mark)
    return table


def _export_figures(figures: Figures | None) -> list[str]:
    if figures is None:
        return [""] * (1 + len(LATENCY_ROWS))
    times = (figures.milliseconds[str(rows)] for rows in LATENCY_ROWS)
    return [f"{figures.bytes / 1e6:.1f} MB", *(f"{ms:.1f}" for ms in times)]


def _verdict(outcome: Outcome, config: Sequence[str], log_path: Path) -> Iterator[RenderableType]:
    took = duration(outcome.seconds)
    if outcome.pushed:
        where = f"{outcome.serving_dir}/{outcome.version}"
        if outcome.all_cached:
            yield Text(f"Nothing changed: every step was cached ({took}).", "bold")
        if outcome.status == "cached":
            yield Text(
                f"Blessed, and pushed by an earlier run as version {outcome.version}: {where}", "green"
            )
        else:
            yield Text(f"Blessed and pushed as version {outcome.version}: {where} ({took})", "bold green")
        yield from _put_on_top(outcome)
        for export in outcome.exports:
            if export.destination:
                yield Text(f"Exported as {', '.join(export.accepted)}: {export.destination}", "green")
        if outcome.status == "refused":
            yield Text(f"Refused: {outcome.reason}", "bold red")
    else:
        again = " (every step was cached)" if outcome.all_cached else ""
        yield Text(f"Not pushed{again}: {outcome.reason}", "bold red")
    yield Text("")
    yield Text("Next", "bold")
    for what, command in _next(outcome, config, log_path):
        yield Text(f"  {what:<22}", "dim") + Text(command)


def _put_on_top(outcome: Outcome) -> Iterator[RenderableType]:
    """Yields a line if a rollback or promotion is served instead of the push."""
    home = Path(outcome.serving_dir)
    for newest in versions(home.parent, home.name)[-1:]:
        if not newest.is_push:
            yield Text(
                f"The served version is {newest.number}, from a later rollback or promotion; `run --force` pushes "
                "this model on top of it",
                "yellow",
            )


def _next(outcome: Outcome, config: Sequence[str], log_path: Path) -> Iterator[tuple[str, str]]:
    if outcome.pushed:
        yield "serve it", to_paste("serve", *config)
        yield "what is served", to_paste("versions", *config)
        if outcome.version and outcome.version > 1:
            yield "back to the last one", to_paste("rollback", *config)
        yield "try something else", to_paste("run", *config, "--set", "train.seed=1")
    else:
        yield "what can be set", to_paste("config", "--explain")
        yield "try something else", to_paste("run", *config, "--set", "train.learning_rate=1e-4")
    if outcome.report:
        yield "the report", outcome.report
    yield "the log", str(log_path)
