"""Waits for a run and shows its steps: a live list on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from models.errors import PipelineError
from pipeline.kubeflow.client.logs import read_log, reason
from pipeline.kubeflow.client.run_state import ENDED, StepState, refused_gates, step_states
from pipeline.kubeflow.client.server import Server, ServerError
from pipeline.kubeflow.verdicts import VERDICT_SUFFIX
from pipeline.process.shown import SYMBOLS, duration

PUSHED, FAILED, REFUSED = 0, 1, 3  # exit codes, those of the local runner
_BUSY = (408, 429)
_MISSES = 20  # number of consecutive failed requests before we give up; the run itself continues


class _Shown(Protocol):
    def update(self, steps: Mapping[str, StepState]) -> None: ...


def follow(server: Server, run_id: str, names: Sequence[str], console: Console, pause: float) -> Any:
    """Shows a run until it ends; returns it.

    Args:
        names: the pipeline's steps, in order; empty if unknown.
        pause: seconds between requests.

    Raises:
        PipelineError: the server no longer answers or no longer grants access.
    """
    misses = 0
    with _display(console) as shown:
        while True:
            try:
                with server.calls() as client:
                    run = client.get_run(run_id)
            except ServerError as error:
                misses += 1
                # A rejected request stays rejected; a server that restarts or is busy will answer again.
                refused = 400 <= error.status < 500 and error.status not in _BUSY
                if misses >= _MISSES or refused:
                    raise
            else:
                misses = 0
                shown.update(step_states(run, names))
                if run.state in ENDED:
                    return run
            time.sleep(pause)


def conclude(server: Server, run: Any, names: Sequence[str]) -> tuple[int, list[str]]:
    """Returns the exit code for a run that has ended, and lines with the reasons."""
    link = server.link(f"runs/details/{run.run_id}")
    if run.state == "SUCCEEDED":
        return PUSHED, [f"pushed: {link}"]
    steps = step_states(run, names)
    refused = [
        f"refused by {gate}: {_why(server, run.run_id, steps[gate + VERDICT_SUFFIX])}"
        for gate in refused_gates(steps)
    ]
    failed = [
        f"{step.name} failed: {_why(server, run.run_id, step)}"
        for step in steps.values()
        if step.state == "failed" and not step.name.endswith(VERDICT_SUFFIX)
    ]
    # As in a local run, a failure outweighs a rejection.
    exit_code = REFUSED if refused and not failed else FAILED
    return exit_code, [*refused, *failed, f"the run ended {run.state}: {link}"]


def _why(server: Server, run_id: str, step: StepState) -> str:
    if not step.pods:
        return "it had no pod; the dashboard shows its events"
    try:
        error_line = reason(read_log(server, run_id, step.pods[-1]))
    except PipelineError as error:
        return f"its log cannot be read ({error})"
    return error_line or f"see `runner_kubeflow.py logs {run_id} {step.name}`"


@contextlib.contextmanager
def _display(console: Console) -> Iterator[_Shown]:
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield _List(live)


class _List:
    """The steps with symbols, redrawn after each request."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def update(self, steps: Mapping[str, StepState]) -> None:
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
        for step in steps.values():
            symbol, style = SYMBOLS.get(step.state, ("»", "bold"))
            took = "" if step.seconds is None or step.state == "cached" else duration(step.seconds)
            table.add_row(Text(symbol, style), Text(step.name), Text(step.state, style), Text(took, "dim"))
        self._live.update(table, refresh=True)


class _Lines:
    """Prints a line whenever a step's state changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._before: dict[str, str] = {}

    def update(self, steps: Mapping[str, StepState]) -> None:
        for step in steps.values():
            if step.state != self._before.get(step.name, "waiting"):
                took = (
                    f" in {duration(step.seconds)}"
                    if step.state == "done" and step.seconds is not None
                    else ""
                )
                self._console.print(Text(f"{step.name}: {step.state}{took}"), soft_wrap=True)
            self._before[step.name] = step.state
