"""What every format gives the Exporter to try: a way to predict and a way to measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from models.errors import PipelineError

# The model's inputs by name, as input_ids and attention_mask: int32 [rows, tokens], padded to the longest.
Tokens = Mapping[str, np.ndarray]


class NotInstalledError(PipelineError):
    """What a format needs is not on this machine: the node fails. A model that does not fit is refused instead."""


class Opened(NamedTuple):
    """An exported model that is ready to answer.

    `predict`: tokens -> probabilities float32 [rows, classes].
    `seconds`: tokens, repeats -> the wall time of each call, after one that warms up.
    """

    predict: Callable[[Tokens], np.ndarray]
    seconds: Callable[[Tokens, int], list[float]]


def timed(predict: Callable[[Tokens], np.ndarray]) -> Opened:
    """Of a runtime that works in this process."""

    def seconds(tokens: Tokens, repeats: int) -> list[float]:
        predict(tokens)
        return [_time_of(predict, tokens) for _ in range(repeats)]

    return Opened(predict, seconds)


def _time_of(predict: Callable[[Tokens], np.ndarray], tokens: Tokens) -> float:
    started = time.perf_counter()
    predict(tokens)
    return time.perf_counter() - started
