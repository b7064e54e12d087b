"""Starts a model server, sends it rows and checks its answers."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from tfx.components.infra_validator import error_types

from components.canary.local_process_runner import MODEL_NAME, MODEL_VERSION, LocalProcessRunner
from components.canary.settings import CanarySettings

Row = Mapping[str, bytes]  # raw text column -> text


@dataclass(frozen=True)
class Trial:
    """The result of a trial. The model may be pushed if there are no `reasons`."""

    reasons: tuple[str, ...]
    figures: Mapping[str, float] = field(default_factory=dict)


class Expected(NamedTuple):
    """What the exported model answers in float32: the name of the output, and its values float32 [rows, ...]."""

    output: str
    values: np.ndarray


def try_model(
    runner: LocalProcessRunner, rows: Sequence[Row], expected: Expected, settings: CanarySettings
) -> Trial:
    """Starts the server, sends the rows one after the other, and stops the server.

    Args:
        runner: a runner that has not been started.
        rows: rows to send.
        expected: the exported model's answers to them, in float32.
    """
    started = time.monotonic()
    try:
        runner.Start()
        problem = _wait_until_ready(runner, settings.start_seconds)
        if problem:
            return Trial((problem,))
        ready_seconds = time.monotonic() - started
        answers, seconds, problem = _ask(runner, rows, expected.output, settings)
        memory = runner.peak_memory_mb()
    finally:
        runner.Stop()
    figures = {"rows": float(len(answers)), "ready_seconds": round(ready_seconds, 3)}
    if problem:
        return Trial((problem,), figures)
    figures |= {
        "max_difference": largest_difference(filled_up(answers, expected.values.shape[1:]), expected.values),
        "p50_ms": round(float(np.percentile(seconds, 50)) * 1e3, 3),
        "p99_ms": round(float(np.percentile(seconds, 99)) * 1e3, 3),
        "peak_memory_mb": round(memory, 1),
    }
    allowed = settings.allowed_difference(runner.precision)
    return Trial(tuple(_over_budget(expected.output, figures, settings, allowed)), figures)


def filled_up(answers: Sequence[np.ndarray], shape: Sequence[int]) -> np.ndarray:
    """Answers as an array [rows, *shape]. JSON answers about words leave out the zeros that fill up a row in the model's.

    `[[0.5], [0.5, 0.9]], (3,)` -> `[[0.5, 0, 0], [0.5, 0.9, 0]]`; an answer that does not fit is infinity.
    """
    made = np.full((len(answers), *shape), np.inf)
    for number, answer in enumerate(answers):
        if answer.shape == made.shape[1:]:
            made[number] = answer
        elif answer.ndim == made.ndim - 1 == 1 and len(answer) < made.shape[1]:
            made[number] = 0.0
            made[number, : len(answer)] = answer
    return made


def largest_difference(answers: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to answers above 1, which have the rounding of their size: float32 [rows, ...].

    `[0.5, 5000.5], [0.5, 5000.0] -> 0.0001`
    """
    return float((np.abs(answers - expected) / np.maximum(1.0, np.abs(expected))).max())


def _over_budget(
    output: str, figures: Mapping[str, float], settings: CanarySettings, allowed_difference: float
) -> Iterator[str]:
    # Negated comparisons, so that NaN is over budget.
    if not figures["max_difference"] <= allowed_difference:
        yield (
            f"the server's {output} differ by up to {figures['max_difference']:.3g} from the exported "
            f"model's in float32 (canary.max_difference is {allowed_difference:g})"
        )
    if not figures["p99_ms"] <= settings.max_p99_ms:
        yield f"p99 latency {figures['p99_ms']:.1f} ms is above canary.max_p99_ms {settings.max_p99_ms:g}"
    if not figures["peak_memory_mb"] <= settings.max_memory_mb:
        yield f"memory {figures['peak_memory_mb']:.0f} MB is above canary.max_memory_mb {settings.max_memory_mb:g}"


def _wait_until_ready(runner: LocalProcessRunner, seconds: float) -> str:
    """Returns why the server did not become ready; "" if it did."""
    deadline = time.time() + seconds  # TFX's runners use wall-clock time
    try:
        runner.WaitUntilRunning(deadline)
        while time.time() < deadline:
            for version in _get_status(runner).get("model_version_status", ()):
                if version["state"] == "AVAILABLE":
                    return ""
                if version["status"]["error_message"]:
                    return f"the server cannot load the model: {version['status']['error_message']}"
            runner.check_running()
            time.sleep(0.05)
        raise error_types.DeadlineExceeded("the server does not load the model")
    except error_types.JobAborted as error:
        return f"the server stopped while loading the model: {error}"
    except error_types.DeadlineExceeded:
        return "the server did not load the model within canary.start_seconds"


def _get_status(runner: LocalProcessRunner) -> dict[str, Any]:
    # With a version, because the status of the model as a whole is an error while no version is ready.
    path = f"/v1/models/{MODEL_NAME}/versions/{MODEL_VERSION}"
    # A server that has just ended does not answer; the next check detects that.
    with contextlib.suppress(OSError, http.client.HTTPException), _connect(runner, 30) as connection:
        connection.request("GET", path)
        status: dict[str, Any] = json.loads(connection.getresponse().read())
        return status
    return {}


def _connect(runner: LocalProcessRunner, seconds: float) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection(runner.rest_endpoint, timeout=seconds))


def _ask(
    runner: LocalProcessRunner, rows: Sequence[Row], output: str, settings: CanarySettings
) -> tuple[list[np.ndarray], list[float], str]:
    """Returns the answer to each row, the seconds of each request, and why it ended early, or ""."""
    answers: list[np.ndarray] = []
    seconds: list[float] = []
    deadline = time.monotonic() + settings.trial_seconds
    with _connect(runner, settings.trial_seconds) as connection:
        for number, row in enumerate(rows):
            if time.monotonic() > deadline:
                problem = f"only {number} of {len(rows)} rows were answered within canary.trial_seconds"
                return answers, seconds, problem
            started = time.perf_counter()
            try:
                answer = _answer(connection, row, output)
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                return answers, seconds, f"row {number} got no answer: {type(error).__name__}: {error}"
            seconds.append(time.perf_counter() - started)
            if not np.isfinite(answer).all():
                return answers, seconds, f"row {number} got {output} that are not numbers"
            answers.append(answer)
    return answers, seconds, ""


def _answer(connection: http.client.HTTPConnection, row: Row, output: str) -> np.ndarray:
    instance = {column: {"b64": base64.b64encode(text).decode()} for column, text in row.items()}
    connection.request("POST", f"/v1/models/{MODEL_NAME}:predict", json.dumps({"instances": [instance]}))
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise ValueError(f"status {response.status}: {body[:200].decode(errors='replace')}")
    outputs = json.loads(body)["predictions"][0]
    # Of a model with one output, the value stands alone. JSON has no NaN: null becomes NaN.
    return np.array(outputs[output] if isinstance(outputs, dict) else outputs, float)
