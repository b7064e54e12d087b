"""Progress reports of the training loop. The runner sets sinks that draw; the default sink logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainProgress:
    """One report: `step` of `total_steps` optimizer steps are done.

    `epoch` counts passes over the train split (1.5: half of the second pass is done), `loss` is the mean
    training loss since the last report, and `seconds_left` an estimate that excludes future evaluations.
    `eval_metrics` (the scores of the task's head) is set only in the report after an evaluation.
    """

    step: int
    total_steps: int
    epoch: float
    loss: float
    rows_per_second: float
    seconds_left: float
    eval_metrics: Mapping[str, float] | None = None


Sink = Callable[[TrainProgress], None]


def log_progress(progress: TrainProgress) -> None:
    """The default sink: a log line per report."""
    scores = "".join(f", eval {name} {value:.4f}" for name, value in (progress.eval_metrics or {}).items())
    _log.info(
        "step %d/%d, epoch %.2f, loss %.4f, %.0f rows/s, %.0f s left%s",
        progress.step,
        progress.total_steps,
        progress.epoch,
        progress.loss,
        progress.rows_per_second,
        progress.seconds_left,
        scores,
    )


_sink: Sink = log_progress
_say: Callable[[str], None] = _log.info


def set_sink(sink: Sink | None, say: Callable[[str], None] | None = None) -> None:
    """Sends all later reports to `sink` and messages to `say`; None restores the log."""
    global _sink, _say
    _sink = log_progress if sink is None else sink
    _say = _log.info if say is None else say


def say(line: str) -> None:
    """Passes a message for the user from the training loop to the sink."""
    _say(line)


def report(progress: TrainProgress) -> None:
    """Passes a progress report from the training loop to the sink."""
    _sink(progress)
