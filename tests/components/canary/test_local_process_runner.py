"""The runner of the canary's server: TFX's InfraValidator interface, and that no server outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tfx.components.infra_validator import error_types
from tfx.components.infra_validator.model_server_clients.tensorflow_serving_client import (
    TensorFlowServingClient,
)

from components.canary.local_process_runner import LocalProcessRunner
from components.canary.settings import CanarySettings
from components.canary.trial import Expected, try_model
from components.project import PROJECT_DIR
from components.serving.settings import ServeSettings
from tests.support.model_server import TEXTS, Exported


def in_seconds(seconds: float) -> float:
    return time.time() + seconds


@pytest.fixture
def runner(exported: tuple[Exported, Exported]) -> Iterator[LocalProcessRunner]:
    made = LocalProcessRunner(exported[0].path, ServeSettings())
    yield made
    made.Stop()


def request(signature: str = "serving_default") -> predict_pb2.PredictRequest:
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name, asked.model_spec.signature_name = "canary", signature
    asked.inputs["text"].CopyFrom(tf.make_tensor_proto([text.encode() for text in TEXTS]))
    return asked


def is_running(pid: int) -> bool:
    """Not when it has ended, whether somebody reaped it or not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 90
    while is_running(pid):
        assert time.monotonic() < deadline, "the server outlives its parent"
        time.sleep(0.1)


def test_tfx_own_client_waits_for_the_model_and_gets_its_requests_answered(
    runner: LocalProcessRunner, exported: tuple[Exported, Exported]
) -> None:
    runner.Start()
    runner.WaitUntilRunning(in_seconds(90))
    client = TensorFlowServingClient(runner.GetEndpoint(), "canary")
    client.WaitUntilModelLoaded(in_seconds(90), polling_interval_sec=1)
    client.SendRequests([request(), request()])
    with pytest.raises(error_types.ValidationFailed, match="failed to respond"):
        client.SendRequests([request("no_such_signature")])
    answer = client._prediction_service.Predict(request())
    probabilities = tf.make_ndarray(answer.outputs["probabilities"])
    assert probabilities == pytest.approx(np.array(exported[0].probabilities), abs=1e-5)
    assert 100 < runner.peak_memory_mb() < 8192
    runner.Stop()
    with pytest.raises(error_types.JobAborted):
        runner.check_running()


def test_tfx_own_client_is_told_of_a_model_that_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"rubbish")
    runner = LocalProcessRunner(tmp_path, ServeSettings())
    try:
        runner.Start()
        runner.WaitUntilRunning(in_seconds(90))
        client = TensorFlowServingClient(runner.GetEndpoint(), "canary")
        with pytest.raises(error_types.ValidationFailed, match="failed to load the model"):
            client.WaitUntilModelLoaded(in_seconds(90), polling_interval_sec=1)
        assert "version 1 does not load and is not served" in (runner.GetLogs() or "")
    finally:
        runner.Stop()


class Killed(LocalProcessRunner):
    """Its server is killed before it listens."""

    def Start(self) -> None:
        super().Start()
        assert self._process is not None
        self._process.kill()


def test_server_that_ends_or_is_late_is_a_refusal_that_says_so(exported: tuple[Exported, Exported]) -> None:
    def reasons(runner: LocalProcessRunner, **settings: float) -> tuple[str, ...]:
        expected = np.array(exported[0].probabilities[:1])
        return try_model(
            runner, [{"text": b"cat"}], Expected("probabilities", expected), CanarySettings(**settings)
        ).reasons

    model = exported[0].path
    assert reasons(Killed(model, ServeSettings()), start_seconds=90) == (
        "the server stopped while loading the model: exit code -9",
    )
    assert reasons(LocalProcessRunner(model, ServeSettings()), start_seconds=0.001) == (
        "the server did not load the model within canary.start_seconds",
    )


PARENT = """
import sys, time
from pathlib import Path
from pipeline.process import light_imports
light_imports.install()
from components.canary.local_process_runner import LocalProcessRunner
from components.serving.settings import ServeSettings
runner = LocalProcessRunner(Path(sys.argv[1]), ServeSettings())
runner.Start()
print(runner._process.pid, flush=True)
time.sleep(600)
"""


def test_server_ends_when_its_parent_is_killed(exported: tuple[Exported, Exported], tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(exported[0].path)]
    # What SIGKILL leaves lying about.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        try:
            pid = int(parent.stdout.readline())
            assert is_running(pid)
        finally:
            parent.send_signal(signal.SIGKILL)
    wait_until_gone(pid)
