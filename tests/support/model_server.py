"""Two different tiny exported models, and the real server in its own process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.project import PROJECT_DIR
from components.versions import store
from components.versions.record import PushRecord
from tests.support.tiny_export import export_tiny, serve

NAME = "tiny"
TEXTS = ["how far is rome?", "the dog", "", "naïve \u4e2d\u6587 \x00 cat", "say one " * 40]


@dataclass(frozen=True)
class Exported:
    """A SavedModel and what TensorFlow itself answers to TEXTS with it."""

    path: Path
    probabilities: list[list[float]]
    labels: list[str]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Exported, Exported]:
    """The same graph with other weights, twice."""
    folder = tmp_path_factory.mktemp("exported")
    one, other = (_exported(export_tiny(folder / f"model{seed}", seed=seed).saved_model) for seed in (0, 1))
    assert one.probabilities != other.probabilities
    return one, other


def _exported(path: Path) -> Exported:
    answers = serve(path, "serving_default", text=TEXTS)
    labels = [label.decode() for label in answers["label"]]
    return Exported(path, answers["probabilities"].tolist(), labels)


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    rest: int
    grpc: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.rest}"

    def predict(self, body: Any, path: str = f"/v1/models/{NAME}:predict") -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=60)

    def version(self) -> int | None:
        """What answers now; None while nothing does."""
        status = httpx.get(f"{self.url}/v1/models/{NAME}", timeout=60).json()
        states = status.get("model_version_status", [])
        return next((int(s["version"]) for s in states if s["state"] == "AVAILABLE"), None)

    def wait_for(self, version: int, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while self.version() != version:
            assert time.monotonic() < deadline, (
                f"version {version} does not come: {self.log.read_text()[-2000:]}"
            )
            time.sleep(0.05)

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024


@contextlib.contextmanager
def running(serving_dir: Path, version: int | None, **settings: Any) -> Iterator[Server]:
    """The server on free ports, ready with `version`; killed at the end if it still runs."""
    logs = serving_dir.with_name(f"{serving_dir.name}-log-{time.monotonic_ns()}")
    given = json.dumps({"port": 0, "grpc_port": 0, "poll_seconds": 0.1, **settings})
    command = [sys.executable, "-m", "components.serving", str(serving_dir), NAME, given]
    with (
        logs.open("w") as errors,
        logs.with_suffix(".out").open("w") as out,
        subprocess.Popen(
            command,
            cwd=PROJECT_DIR,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=errors,
            text=True,
            env=os.environ,
        ) as process,
    ):
        try:
            ports = _ports(process, logs.with_suffix(".out"), logs)
            server = Server(process, ports["rest"], ports["grpc"], logs)
            if version is not None:
                server.wait_for(version)
            yield server
        finally:
            process.kill()


def _ports(process: subprocess.Popen[str], out: Path, log: Path) -> dict[str, int]:
    deadline = time.monotonic() + 90
    while "\n" not in out.read_text():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.1)
    return json.loads(out.read_text().splitlines()[0])


def push(model: Path, serving_dir: Path) -> int:
    return store.publish(model, serving_dir, NAME, 3, PushRecord())


@pytest.fixture(scope="session")
def server(exported: tuple[Exported, Exported], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves the first model as version 1; at the end it has to stop when asked to."""
    serving_dir = tmp_path_factory.mktemp("serving") / "models"
    push(exported[0].path, serving_dir)
    limits = {
        "max_request_bytes": 1 << 20,
        "max_text_bytes": 4096,
        "max_request_rows": 100,
        "read_seconds": 2.0,
    }
    with running(serving_dir, 1, **limits) as found:
        yield found
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(60) == 0
