"""Asks a model server, started for the purpose, and judges its answers. No TensorFlow, no TFX here."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from components import features
from components.canary.settings import CanarySettings
from components.serving.child import child_command, child_environment
from components.serving.settings import ServeSettings

NAME = "canary"
Row = Mapping[str, bytes]  # raw text column -> text


@dataclass(frozen=True)
class Trial:
    """What was found. Without `reasons` the model may be pushed."""

    reasons: tuple[str, ...]
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Server:
    process: subprocess.Popen[bytes]
    out: Path
    errors: Path

    def port(self) -> int | None:
        """None until it listens."""
        first, newline, _ = self.out.read_text(encoding="utf-8").partition("\n")
        return int(json.loads(first)["rest"]) if newline else None

    def last_words(self) -> str:
        lines = [
            line for line in self.errors.read_text(encoding="utf-8", errors="replace").splitlines() if line
        ]
        return lines[-1][-300:] if lines else f"exit code {self.process.returncode}"

    def peak_memory_mb(self) -> float:
        """Highest resident size so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


def try_model(
    model_dir: Path, rows: Sequence[Row], expected: np.ndarray, settings: CanarySettings, serve: ServeSettings
) -> Trial:
    """Serves `model_dir` with the limits of `serve` and asks for each row, one after the other.

    Args:
      rows: what is asked.
      expected: float32 [rows, classes], the evaluated model's probabilities for them.
    """
    with _serving(model_dir, serve) as server:
        started = time.monotonic()
        problem = _wait_until_ready(server, started + settings.start_seconds)
        if problem:
            return Trial((problem,))
        ready_seconds = time.monotonic() - started
        answers, seconds, problem = _ask(server, rows, settings)
        memory = server.peak_memory_mb() if server.process.poll() is None else float("nan")
    figures = {"rows": float(len(answers)), "ready_seconds": round(ready_seconds, 3)}
    if problem:
        return Trial((problem,), figures)
    figures |= {
        "max_difference": float(np.abs(np.array(answers) - expected).max()),
        "p50_ms": round(float(np.percentile(seconds, 50)) * 1e3, 3),
        "p99_ms": round(float(np.percentile(seconds, 99)) * 1e3, 3),
        "peak_memory_mb": round(memory, 1),
    }
    return Trial(tuple(_over_budget(figures, settings)), figures)


def _over_budget(figures: Mapping[str, float], settings: CanarySettings) -> Iterator[str]:
    # Written so that a figure that is not a number is over it.
    if not figures["max_difference"] <= settings.max_difference:
        yield (
            f"the server's probabilities differ by up to {figures['max_difference']:.3g} from the evaluated "
            f"model's (canary.max_difference is {settings.max_difference:g})"
        )
    if not figures["p99_ms"] <= settings.max_p99_ms:
        yield f"p99 latency {figures['p99_ms']:.1f} ms is above canary.max_p99_ms {settings.max_p99_ms:g}"
    if not figures["peak_memory_mb"] <= settings.max_memory_mb:
        yield f"memory {figures['peak_memory_mb']:.0f} MB is above canary.max_memory_mb {settings.max_memory_mb:g}"


@contextlib.contextmanager
def _serving(model_dir: Path, serve: ServeSettings) -> Iterator[_Server]:
    """The server as a child process; gone at the end, and also when this process is killed."""
    alone = {"host": "127.0.0.1", "port": 0, "grpc_port": 0, "workers": 1, "poll_seconds": 0.1}
    given = serve.model_copy(update=alone)
    with tempfile.TemporaryDirectory(prefix="canary-") as folder:
        home = Path(folder)
        (home / NAME).mkdir()
        (home / NAME / "1").symlink_to(model_dir.absolute(), target_is_directory=True)
        out, errors = home / "out", home / "errors"
        command = child_command(home, NAME, given)
        with (
            out.open("wb") as to_out,
            errors.open("wb") as to_errors,
            # It stops when its stdin is closed, as the kernel does when we die.
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=to_out, stderr=to_errors, env=child_environment()
            ) as process,
        ):
            try:
                yield _Server(process, out, errors)
            finally:
                process.kill()


def _wait_until_ready(server: _Server, deadline: float) -> str:
    """Returns why it does not become ready; "" when it is."""
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            return f"the server stopped while loading the model: {server.last_words()}"
        port = server.port()
        status = {} if port is None else _get_status(port)
        for version in status.get("model_version_status", ()):
            if version["state"] == "AVAILABLE":
                return ""
            if version["status"]["error_message"]:
                return f"the server cannot load the model: {version['status']['error_message']}"
        time.sleep(0.05)
    return "the server did not load the model within canary.start_seconds"


def _get_status(port: int) -> dict[str, Any]:
    # With a version: the status of the model as a whole is an error while none is ready.
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", f"/v1/models/{NAME}/versions/1")
        found: dict[str, Any] = json.loads(connection.getresponse().read())
        return found


def _ask(
    server: _Server, rows: Sequence[Row], settings: CanarySettings
) -> tuple[list[list[float]], list[float], str]:
    """(probabilities of each row, seconds of each request, why it ended early or "")."""
    answers: list[list[float]] = []
    seconds: list[float] = []
    deadline = time.monotonic() + settings.trial_seconds
    port = server.port()
    assert port is not None
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", port, timeout=settings.trial_seconds)
    ) as to:
        for number, row in enumerate(rows):
            if time.monotonic() > deadline:
                problem = f"only {number} of {len(rows)} rows were answered within canary.trial_seconds"
                return answers, seconds, problem
            started = time.perf_counter()
            try:
                probabilities = _probabilities(to, row)
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                return answers, seconds, f"row {number} got no answer: {type(error).__name__}: {error}"
            seconds.append(time.perf_counter() - started)
            answers.append(probabilities)
    return answers, seconds, ""


def _probabilities(connection: http.client.HTTPConnection, row: Row) -> list[float]:
    instance = {column: {"b64": base64.b64encode(text).decode()} for column, text in row.items()}
    connection.request("POST", f"/v1/models/{NAME}:predict", json.dumps({"instances": [instance]}))
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise ValueError(f"status {response.status}: {body[:200].decode(errors='replace')}")
    probabilities: list[float] = json.loads(body)["predictions"][0][features.PROBABILITIES]
    return probabilities
