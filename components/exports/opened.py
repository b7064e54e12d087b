"""The interface of a loaded export for the Exporter: a function to predict and one to measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from models.errors import PipelineError

# The model's inputs by name, such as input_ids and attention_mask: int32 [rows, tokens], padded to the longest.
Tokens = Mapping[str, np.ndarray]


class NotInstalledError(PipelineError):
    """A tool that a format requires is missing on this machine, so the node fails instead of rejecting the model."""


class Opened(NamedTuple):
    """An exported model that is loaded.

    `predict`: tokens -> probabilities float32 [rows, classes].
    `seconds`: tokens, repeats -> the wall time of each call after a warm-up call.
    """

    predict: Callable[[Tokens], np.ndarray]
    seconds: Callable[[Tokens, int], list[float]]


def timed(predict: Callable[[Tokens], np.ndarray]) -> Opened:
    """The interface of a model whose runtime works in this process."""

    def seconds(tokens: Tokens, repeats: int) -> list[float]:
        predict(tokens)
        return [_time_of(predict, tokens) for _ in range(repeats)]

    return Opened(predict, seconds)


def _time_of(predict: Callable[[Tokens], np.ndarray], tokens: Tokens) -> float:
    started = time.perf_counter()
    predict(tokens)
    return time.perf_counter() - started
