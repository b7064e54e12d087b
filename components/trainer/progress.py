"""What the training loop tells while it runs. The runner sets a sink that draws; the default logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainProgress:
    """One report: `step` of `total_steps` optimizer steps are done.

    `epoch` counts passes over the train split (1.5: half of the second one is done), `loss` is the mean
    training loss since the last report, `seconds_left` an estimate without the evaluations to come.
    `eval_metrics` ({"accuracy": ..., "loss": ...}) is there only in the report after an evaluation.
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


def set_sink(sink: Sink | None) -> None:
    """Sends all later reports to `sink`; None goes back to the log."""
    global _sink
    _sink = log_progress if sink is None else sink


def report(progress: TrainProgress) -> None:
    """Called by the training loop."""
    _sink(progress)
