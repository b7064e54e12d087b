"""The course of a training and the weights that it kept. Imports no TensorFlow, so that reading it is fast."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from models.tasks.task import DEFAULT_TASK, LOSS, TASKS, every_score, score

# In the model run's folder: `History` as JSON.
HISTORY_FILE = "history.json"


@dataclass(frozen=True)
class History:
    """The course of a training; written as JSON to the model run and saved with the training state.

    An evaluation is {"step", "epoch", "train_loss" if there were steps, and the scores of the task's head}.
    """

    fingerprint: str = ""  # of everything that determines the result; names the training state
    step: int = 0
    total_steps: int = 0
    steps_per_epoch: float = 0.0
    evaluations: Sequence[Mapping[str, float]] = field(default_factory=list)
    # Losses of the steps since the last evaluation, at the time the state was saved.
    unevaluated_losses: Sequence[float] = field(default_factory=list)
    best: Mapping[str, float] = field(default_factory=dict)  # the evaluation whose weights are kept
    # Of the answers of the weights that are kept, such as decision thresholds.
    constants: Mapping[str, Sequence[float]] = field(default_factory=dict)
    # Determines `best`; ties are broken by another score, see `rank`.
    best_metric: str = TASKS[DEFAULT_TASK].facts().BEST_METRIC
    evaluations_since_best: int = 0  # since best_metric last improved by min_delta; patience counts them
    stopped_early: bool = False
    resumed_at: Sequence[int] = field(default_factory=list)
    train_rows: int = 0
    seconds: float = 0.0  # total: steps, evaluations, saving the state
    evaluation_seconds: float = 0.0  # the part spent on evaluations and saving the state
    step_seconds: float = 0.0  # steps only, without the first, which compiles
    rows_per_second: float = 0.0
    padding_share: float = 0.0  # share of the computed tokens that were padding

    def as_json(self) -> dict[str, Any]:
        """JSON values, which `history_of` turns back into the same history."""
        return asdict(self)


def history_of(values: Mapping[str, Any]) -> History:
    """Makes a history from `as_json` or history.json. Keys that an earlier release did not write get their defaults."""
    known = {field.name for field in fields(History)}
    return History(**{key: value for key, value in values.items() if key in known})


def read_history(folder: Path) -> History:
    """Reads `history.json` from `folder`."""
    return history_of(json.loads((folder / HISTORY_FILE).read_text(encoding="utf-8")))


def write_history(history: History, folder: Path) -> None:
    """Writes `history.json` to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(history.as_json(), indent=2)
    (folder / HISTORY_FILE).write_text(text + "\n", encoding="utf-8")


def goodness(scores: Mapping[str, float], metric: str) -> float:
    """A metric with its sign chosen so that higher is better; lowest of all if it is NaN."""
    value = -scores[metric] if score(metric).lower_is_better else scores[metric]
    return -math.inf if math.isnan(value) else value


def rank(scores: Mapping[str, float], metric: str) -> tuple[float, float]:
    """Sort key for the weights to keep: the metric, then the loss (or the first score if the metric is the loss).

    On a small split, accuracy is often the same, say 1.0, from the first epoch on while the loss still falls.
    """
    return goodness(scores, metric), goodness(scores, _tie_breaker(metric, scores))


def _tie_breaker(metric: str, scores: Mapping[str, float]) -> str:
    others = (name for name in every_score() if name in scores and name != LOSS)
    return next(others, LOSS) if metric == LOSS else LOSS


def why_kept(history: History) -> str:
    """Says which epoch's weights the model has, and why; "" if there was no evaluation.

    `the model has the weights of epoch 3: eval accuracy 1.0000, as in epochs 1 and 2, and of these the lowest
    eval loss, 0.2500`
    """
    best, metric = history.best, history.best_metric
    if not best:
        return ""
    other = _tie_breaker(metric, best)
    epoch = f"the model has the weights of epoch {best['epoch']:.3g}: "
    tied = [e for e in history.evaluations if e[metric] == best[metric] and e["step"] != best["step"]]
    if not tied:
        return f"{epoch}{_extreme(metric)} eval {metric}, {best[metric]:.4f}"
    others = _listed([f"{e['epoch']:.3g}" for e in tied])
    return (
        f"{epoch}eval {metric} {best[metric]:.4f}, as in {others}, and of these the {_extreme(other)} eval {other}, "
        f"{best[other]:.4f}"
    )


def _extreme(metric: str) -> str:
    return "lowest" if score(metric).lower_is_better else "highest"


def _listed(epochs: Sequence[str]) -> str:
    """`["1", "2", "4"] -> "epochs 1, 2 and 4"`."""
    if len(epochs) == 1:
        return f"epoch {epochs[0]}"
    return f"epochs {', '.join(epochs[:-1])} and {epochs[-1]}"
