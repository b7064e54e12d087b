"""Measures the answers of a classifier and how long they take, with one loop for ours and for the peers.

Uses the standard library only.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.processes import peak_mib

LARGE = 32  # rows of a batch
Answer = tuple[str, Sequence[float]]  # the label, and the probabilities of all labels in their order
Classify = Callable[[list[str]], list[Answer]]


def measured_answers(classify: Classify, questions: Sequence[str], alone: int) -> dict[str, Any]:
    """Asks all questions in large batches, and the first `alone` of them one at a time.

    Args:
        classify: texts -> an answer for each.
        questions: at least as many as a large batch has rows.

    Returns:
        "labels" and "probabilities" of all questions; "milliseconds": rows of a batch (as text, for JSON) ->
        median of the full batches, after a warm-up batch; "peak_mib" of this process.
    """
    _timed(classify, questions[:LARGE], LARGE)
    answers, together = _timed(classify, questions, LARGE)
    _, one_by_one = _timed(classify, questions[:alone], 1)
    labels, probabilities = zip(*answers, strict=True)
    return {
        "labels": labels,
        "probabilities": probabilities,
        "milliseconds": {"1": one_by_one, str(LARGE): together},
        "peak_mib": peak_mib(),
    }


def _timed(classify: Classify, questions: Sequence[str], rows: int) -> tuple[list[Answer], float]:
    """Returns the answers, and the median milliseconds of a full batch."""
    answers, seconds = [], []
    for start in range(0, len(questions), rows):
        batch = list(questions[start : start + rows])
        started = time.perf_counter()
        answers += classify(batch)
        if len(batch) == rows:
            seconds.append(time.perf_counter() - started)
    return answers, statistics.median(seconds) * 1e3
