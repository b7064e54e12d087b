"""Shows the progress of a run: a live list on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.process.shown import SYMBOLS, duration

if TYPE_CHECKING:
    from components.trainer.progress import TrainProgress
    from pipeline.local.node_run import NodeRun

_SECONDS_BETWEEN_LINES = 15.0  # of training progress, when output is plain lines


class Display(AbstractContextManager["Display"], Protocol):
    """Receives every event of a run, in the thread that runs the nodes."""

    def say(self, line: str) -> None:
        """Prints one permanent line."""

    def start(self, node_ids: Sequence[str]) -> None:
        """Shows the list of nodes."""

    def node(self, run: NodeRun) -> None:
        """Shows that a node has started or ended."""

    def training(self, progress: TrainProgress) -> None:
        """Shows the progress of the training loop."""


def make_display(console: Console) -> Display:
    """A live display on a terminal, plain lines without control codes elsewhere."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class PlainDisplay:
    """One line per event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_progress = 0.0

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def say(self, line: str) -> None:
        """Prints the line."""
        self._print(line)

    def start(self, node_ids: Sequence[str]) -> None:
        """Prints the number of nodes."""
        self._print(f"{len(node_ids)} steps")

    def node(self, run: NodeRun) -> None:
        """Prints `Trainer: started`, `Trainer: done in 201 s` or `Trainer: cached`."""
        if run.state == "running":
            self._print(f"{run.id}: started")
        elif run.state == "cached":
            self._print(f"{run.id}: cached")
        else:
            self._print(f"{run.id}: {run.state} in {duration(run.seconds)}")

    def training(self, progress: TrainProgress) -> None:
        """Prints a line every few seconds, and one for each evaluation."""
        now = time.monotonic()
        if progress.eval_metrics is None and now - self._last_progress < _SECONDS_BETWEEN_LINES:
            return
        self._last_progress = now
        self._print("  " + training_line(progress))

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


class LiveDisplay:
    """The list of nodes with a spinner, times and a progress bar for training."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._nodes: dict[str, NodeRun | None] = {}
        self._began: dict[str, float] = {}
        self._spinner = Spinner("dots")
        self._training: TrainProgress | None = None
        self._evaluations: list[str] = []
        self._live = Live(
            get_renderable=self._render,
            console=console,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> LiveDisplay:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After a complete run the summary shows the list again; after an error this list stays.
        self._live.transient = kind is None
        self._live.__exit__(kind, error, trace)

    def say(self, line: str) -> None:
        """Prints the line above the list."""
        self._console.print(Text(line), soft_wrap=True)

    def start(self, node_ids: Sequence[str]) -> None:
        """Shows the nodes as waiting."""
        self._nodes = dict.fromkeys(node_ids)

    def node(self, run: NodeRun) -> None:
        """Updates the node's line."""
        self._nodes[run.id] = run
        self._began.setdefault(run.id, time.monotonic())
        if run.state != "running":
            self._training = None

    def training(self, progress: TrainProgress) -> None:
        """Updates the progress bar."""
        self._training = progress
        if progress.eval_metrics is not None:
            self._evaluations.append(evaluation_line(progress))
            self._training = replace(progress, eval_metrics=None)  # shown in a separate line

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for node_id, run in list(self._nodes.items()):
            table.add_row(*self._row(node_id, run))
        extra: list[RenderableType] = [Text(f"    {line}", style="dim") for line in self._evaluations]
        if self._training is not None:
            extra.append(_training_bar(self._training))
        return Group(table, *extra)

    def _row(self, node_id: str, run: NodeRun | None) -> tuple[RenderableType, ...]:
        if run is None:
            return Text("·", "dim"), Text(node_id, "dim"), Text("")
        if run.state == "running":
            seconds = time.monotonic() - self._began[node_id]
            return self._spinner, Text(node_id, "bold"), Text(duration(seconds), "dim")
        symbol, style = SYMBOLS[run.state]
        result = "cached" if run.state == "cached" else duration(run.seconds)
        return Text(symbol, style), Text(node_id), Text(result, "cyan" if run.state == "cached" else "")


def _training_bar(progress: TrainProgress) -> RenderableType:
    row = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=max(progress.total_steps, 1), completed=progress.step, width=30)
    row.add_row(Text("   "), bar, Text(training_line(progress)))
    return row


def training_line(progress: TrainProgress) -> str:
    """`step 50/264, epoch 0.6, loss 0.412, 61 rows/s, 3 min 20 s left`, with evaluation metrics if any."""
    parts = [
        f"step {progress.step}/{progress.total_steps}",
        f"epoch {progress.epoch:.1f}",
        f"loss {progress.loss:.3f}",
        f"{progress.rows_per_second:.0f} rows/s",
    ]
    if progress.eval_metrics is not None:
        parts += [f"eval {name} {value:.4f}" for name, value in progress.eval_metrics.items()]
    else:
        parts.append(f"{duration(progress.seconds_left)} left")
    return ", ".join(parts)


def evaluation_line(progress: TrainProgress) -> str:
    """`epoch 1.0: eval loss 0.31`."""
    metrics = (progress.eval_metrics or {}).items()
    values = ", ".join(f"eval {name} {value:.4f}" for name, value in metrics)
    return f"epoch {progress.epoch:.1f}: {values}"
