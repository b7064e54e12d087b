"""Several server processes on the same two ports: all answer, all switch versions, and one that dies is replaced."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from components.project import PROJECT_DIR
from components.serving.board import State, make_board
from tests.support.model_server import NAME, TEXTS, Exported, Server, push, running

PREDICT = f"/v1/models/{NAME}:predict"
WORKERS = 2


@pytest.mark.parametrize(
    ("states", "ready"),
    [
        ([State.STARTING, State.READY], False),
        ([State.LISTENING, State.READY], False),
        ([State.READY, State.READY], True),
        ([State.READY, State.AWAY], True),
        ([State.AWAY, State.AWAY], False),
        ([State.AWAY, State.LISTENING], False),
    ],
)
def test_readiness_waits_for_every_worker_that_takes_requests(states: list[State], ready: bool) -> None:
    board = make_board(len(states))
    for worker, state in enumerate(states):
        board[worker] = state
    assert board.is_ready() is ready


@pytest.fixture(scope="module")
def serving_dir(exported: tuple[Exported, Exported], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers") / "models"
    push(exported[0].path, folder)
    return folder


@pytest.fixture(scope="module")
def crew(serving_dir: Path) -> Iterator[Server]:
    """Two workers that serve version 1; at the end their supervisor is killed, and they must end by themselves."""
    with running(serving_dir, None, workers=WORKERS) as found:
        until(lambda: is_ready(found), found)
        pids = workers_of(found)
        assert len(pids) == WORKERS
        yield found
        pids |= workers_of(found)
        found.process.kill()
        found.process.wait(60)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), found)


def until(true: Callable[[], object], server: Server) -> None:
    deadline = time.monotonic() + 90
    while not true():
        assert time.monotonic() < deadline, server.log.read_text()[-3000:]
        time.sleep(0.1)


def is_ready(server: Server) -> bool:
    return httpx.get(f"{server.url}/v2/health/ready", timeout=60).status_code == 200


def workers_of(server: Server) -> set[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return {int(pid) for pid in children.split()}


def requests_log(server: Server) -> list[dict[str, Any]]:
    """The complete lines of the access log; the first line has the ports."""
    lines = server.log.with_suffix(".out").read_text().split("\n")[1:-1]
    return [json.loads(line) for line in lines]


def ask(server: Server) -> dict[str, Any]:
    """A good request on a new connection."""
    answer = server.predict({"instances": TEXTS})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_worker_answers_rest(crew: Server, exported: tuple[Exported, Exported]) -> None:
    def all_have_answered() -> bool:
        assert [row["label"] for row in ask(crew)["predictions"]] == exported[0].labels
        lines = [line for line in requests_log(crew) if line["method"] == f"POST {PREDICT}"]
        return {line["worker"] for line in lines} == {0, 1}

    until(all_have_answered, crew)


def test_every_worker_answers_grpc(crew: Server, exported: tuple[Exported, Exported]) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(TEXTS))

    def all_have_answered() -> bool:
        own = [("grpc.use_local_subchannel_pool", 1)]  # a connection that no other channel uses
        with grpc.insecure_channel(f"127.0.0.1:{crew.grpc}", own) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            answer = stub.Predict(request, timeout=30)
        assert np.allclose(
            tf.make_ndarray(answer.outputs["probabilities"]), exported[0].probabilities, atol=1e-5
        )
        lines = [line for line in requests_log(crew) if line["protocol"] == "grpc"]
        return {line["worker"] for line in lines} == {0, 1}

    until(all_have_answered, crew)


def metric(server: Server, name: str) -> float:
    text = httpx.get(f"{server.url}/metrics", timeout=60).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


def test_metrics_are_those_of_all_workers(crew: Server) -> None:
    rows = "serving_request_rows_sum"
    before = metric(crew, rows)
    for _ in range(20):
        ask(crew)
    until(lambda: metric(crew, rows) - before == 20 * len(TEXTS), crew)
    assert metric(crew, 'serving_model_loads_total{result="loaded"}') == WORKERS


def test_new_version_reaches_every_worker(
    crew: Server, serving_dir: Path, exported: tuple[Exported, Exported]
) -> None:
    assert push(exported[1].path, serving_dir) == 2
    until(lambda: metric(crew, "serving_model_version") == 2, crew)  # the lowest of all
    answers = [ask(crew) for _ in range(20)]
    assert {answer["model_version"] for answer in answers} == {"2"}


def test_killed_worker_is_replaced_and_the_others_answer_meanwhile(crew: Server) -> None:
    before = workers_of(crew)
    rows = metric(crew, "serving_request_rows_sum")
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    until(lambda: log_since_the_kill(crew), crew)
    asked = 0

    def is_replaced() -> bool:
        nonlocal asked
        ask(crew)
        asked += 1
        now = workers_of(crew)
        return killed not in now and len(now) == WORKERS and "loaded" in log_since_the_kill(crew)

    until(is_replaced, crew)
    assert re.search(
        rf"worker \d \(process {killed}\) ended with SIGKILL; it is started again", crew.log.read_text()
    )
    until(lambda: is_ready(crew), crew)
    until(lambda: metric(crew, "serving_request_rows_sum") == rows + asked * len(TEXTS), crew)


def log_since_the_kill(server: Server) -> str:
    return server.log.read_text().partition("it is started again")[2]


def supervisor(serving_dir: Path, **settings: Any) -> subprocess.Popen[str]:
    given = json.dumps({"port": 0, "grpc_port": 0, "workers": WORKERS, **settings})
    return subprocess.Popen(
        [sys.executable, "-m", "components.serving", str(serving_dir), NAME, given],
        cwd=PROJECT_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def errors_of(process: subprocess.Popen[str]) -> str:
    """Its output until it ends by itself; its stdin stays open, because closing it would stop the server."""
    assert process.stderr is not None
    return process.stderr.read()


@pytest.mark.parametrize("key", ["port", "grpc_port"])
def test_taken_port_is_said_before_any_worker_starts(tmp_path: Path, key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with supervisor(tmp_path, **{key: port}) as process:
            said = errors_of(process)
    protocol = "REST" if key == "port" else "gRPC"
    assert process.returncode == 1
    assert said == (
        f"error: {protocol} port 127.0.0.1:{port} cannot be listened on: [Errno 98] Address already in use\n"
    )


def test_workers_that_cannot_start_end_the_server(tmp_path: Path) -> None:
    with supervisor(tmp_path) as process:
        # Enough for the supervisor, which has hardly begun to import; too little for TensorFlow.
        resource.prlimit(process.pid, resource.RLIMIT_AS, (400 << 20, 400 << 20))
        said = errors_of(process)
    assert process.returncode == 1
    assert re.fullmatch(
        r"error: worker \d ended with .* before it accepted a request; its own messages say why",
        said.splitlines()[-1],
    )
