"""Versions change under load; a full queue is reported; a process that dies is replaced."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from kserve.protocol.grpc import grpc_predict_v2_pb2, grpc_predict_v2_pb2_grpc
from pydantic import ValidationError
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from components.serving.settings import ServeSettings
from tests.support.full import cases
from tests.support.model_server import NAME, TEXTS, Exported, Server, push, running

CLIENTS, SWITCHES = 16, cases(6, full=20)


class Load:
    """Clients in a closed loop; every answer is compared with the model of its version."""

    def __init__(self, server: Server, models: tuple[Exported, Exported]) -> None:
        self.server, self.models = server, models
        self.answers: Counter[str] = Counter()
        self.versions: set[int] = set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        text = number % len(TEXTS)
        with httpx.Client(timeout=60) as client:
            while not self._stop.is_set():
                self.answers[self._ask(client, text)] += 1
                time.sleep(0.05)  # leaves the two cores of a test machine to the server

    def _ask(self, client: httpx.Client, text: int) -> str:
        try:
            url = f"{self.server.url}/v1/models/{NAME}:predict"
            answer = client.post(url, json={"instances": [TEXTS[text]]})
        except httpx.HTTPError as error:
            return repr(error)
        if answer.status_code != 200:
            return answer.text
        version = int(answer.json()["model_version"])
        self.versions.add(version)
        wanted = self.models[(version - 1) % 2].probabilities[text]
        right = np.allclose(answer.json()["predictions"][0]["probabilities"], wanted, atol=1e-5)
        return "right" if right else f"version {version} answered {answer.text}, wanted {wanted}"


def test_switches_under_load_fail_no_request_and_leave_no_memory(
    exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    serving_dir = tmp_path / "models"
    push(exported[0].path, serving_dir)
    with running(serving_dir, 1) as server, Load(server, exported) as load:
        while sum(load.answers.values()) < 10 * CLIENTS:  # every client's connection and thread is there
            time.sleep(0.05)
        before = server.memory()
        for number in range(2, SWITCHES + 2):
            assert push(exported[(number - 1) % 2].path, serving_dir) == number
            server.wait_for(number)
        after = memory_at_last(server, 1.1 * before)
    assert set(load.answers) == {"right"}, load.answers.most_common(3)
    assert load.versions >= set(range(2, SWITCHES + 1))
    assert after <= 1.1 * before, f"{before / 1e6:.0f} MB became {after / 1e6:.0f} MB"


def memory_at_last(server: Server, bound: float) -> int:
    """Memory once it is within the bound; the old version is freed shortly after the new one answers."""
    deadline = time.monotonic() + 20
    while (found := server.memory()) > bound and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_readiness_without_a_version_is_503_and_no_error_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with running(tmp_path / "models", None) as server:
        answer = httpx.get(f"{server.url}/v2/health/ready", timeout=60)
        assert (answer.status_code, answer.json()) == (503, {"error": "Server is not ready."})
        assert httpx.get(f"{server.url}/v2/health/live", timeout=60).status_code == 200
        assert "Traceback" not in server.log.read_text()


def test_new_versions_are_looked_for_every_two_seconds_at_least() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 2"):
        ServeSettings(poll_seconds=2.1)


def test_version_that_does_not_load_is_reported_and_gets_no_traffic(
    exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    serving_dir = tmp_path / "models"
    push(exported[0].path, serving_dir)
    with running(serving_dir, 1) as server:
        broken = serving_dir / NAME / "2"
        shutil.copytree(exported[1].path, serving_dir / NAME / "half")
        (variables,) = (serving_dir / NAME / "half").glob("variables/*.data*")
        variables.write_bytes(variables.read_bytes()[: variables.stat().st_size // 2])
        (serving_dir / NAME / "half").rename(broken)
        told = state_of(server, 2, "END")
        assert told["status"]["error_code"] == "UNKNOWN"
        assert told["status"]["error_message"] != ""
        assert 'serving_model_loads_total{result="failed"} 1.0' in httpx.get(f"{server.url}/metrics").text
        assert server.predict({"instances": ["cat"]}).json()["model_version"] == "1"
        shutil.copytree(exported[1].path, broken, dirs_exist_ok=True)
        server.wait_for(2)


DAMAGE: tuple[Callable[[Path], object], ...] = (
    lambda model: (model / "saved_model.pb").write_bytes(b"rubbish"),
    lambda model: shutil.rmtree(model / "variables"),
    lambda model: next(model.glob("variables/*.index")).write_bytes(b"rubbish"),
    lambda model: next(model.glob("variables/*.index")).unlink(),
    lambda model: shutil.rmtree(model / "assets"),
)


def test_no_answer_tells_how_the_folders_are_named(
    exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    home = tmp_path / "secret place" / "models"
    for number, damage in enumerate(DAMAGE, 1):
        shutil.copytree(exported[0].path, home / NAME / str(number))
        damage(home / NAME / str(number))
    with (
        running(home, None) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel,
    ):
        reasons = [state_of(server, number, "END")["status"]["error_message"] for number in range(1, 6)]
        answers = [client.get(path).text for path in (f"/v1/models/{NAME}", f"/v1/models/{NAME}/versions/1")]
        answers += [client.get(f"/v1/models/{NAME}/metadata").text, client.get(f"/v2/models/{NAME}").text]
        answers += [server.predict({"instances": ["cat"]}).text, client.get("/metrics").text]
        asked = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": NAME})
        answers.append(str(model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(asked)))
        log = server.log.read_text()
    assert all(len(reason) > 20 for reason in reasons), reasons
    assert f"{NAME}/5/assets/labels.txt; No such file" in reasons[4], reasons
    assert "secret place" in log
    for answer in (*reasons, *answers):
        assert "secret" not in answer
        assert re.search(r"(^|[\s'\"(=])/\w", answer) is None, answer


def state_of(server: Server, version: int, state: str) -> dict:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        statuses = httpx.get(f"{server.url}/v1/models/{NAME}", timeout=60).json()["model_version_status"]
        found = [
            status for status in statuses if (status["version"], status["state"]) == (str(version), state)
        ]
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"version {version} is not {state}: {statuses}")


def test_full_queue_sends_away_with_retry_after(exported: tuple[Exported, Exported], tmp_path: Path) -> None:
    serving_dir = tmp_path / "models"
    push(exported[0].path, serving_dir)
    body = {"instances": [TEXTS[-1]] * 1000}
    with running(serving_dir, 1, max_waiting=2, max_batch_rows=4) as server:
        with ThreadPoolExecutor(12) as clients:
            answers = list(clients.map(lambda _: server.predict(body), range(24)))
        codes = Counter(answer.status_code for answer in answers)
        assert set(codes) == {200, 503}, codes
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert refused.headers["retry-after"] == "1"
        assert refused.json() == {"error": "2 requests are already waiting; try again"}
        assert server.predict({"instances": ["cat"]}).status_code == 200


def test_full_queue_tells_grpc_clients_when_to_try_again(
    exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    serving_dir = tmp_path / "models"
    push(exported[0].path, serving_dir)
    texts = [TEXTS[-1]] * 500
    with (
        running(serving_dir, 1, max_waiting=2, max_batch_rows=4) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel,
    ):
        for ask in (tf_serving_predict, kserve_infer):
            with ThreadPoolExecutor(12) as clients:
                asked = [clients.submit(ask, channel, texts) for _ in range(12)]
            refused = [error for one in asked if (error := one.exception()) is not None]
            assert 0 < len(refused) < 12, refused
            assert {told(error) for error in refused} == {
                (grpc.StatusCode.UNAVAILABLE, "2 requests are already waiting; try again", "1000")
            }
            assert ask(channel, ["cat"]).IsInitialized()


def tf_serving_predict(channel: grpc.Channel, texts: list[str]) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(texts))
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=120)


def kserve_infer(channel: grpc.Channel, texts: list[str]) -> Any:
    request = grpc_predict_v2_pb2.ModelInferRequest(model_name=NAME)
    text = request.inputs.add(name="text", datatype="BYTES", shape=[len(texts)])
    text.contents.bytes_contents.extend(row.encode() for row in texts)
    return grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=120)


def told(error: Any) -> tuple[grpc.StatusCode, str, str]:
    return error.code(), error.details(), dict(error.trailing_metadata())["grpc-retry-pushback-ms"]


def test_stop_answers_what_was_accepted(exported: tuple[Exported, Exported], tmp_path: Path) -> None:
    serving_dir = tmp_path / "models"
    push(exported[0].path, serving_dir)
    body = json.dumps({"instances": TEXTS}).encode()
    head = f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    with running(serving_dir, 1) as server:
        with socket.create_connection(("127.0.0.1", server.rest), timeout=30) as connection:
            connection.sendall(head.encode() + body[:10])
            assert server.predict({"instances": ["cat"]}).status_code == 200  # so the one before it was seen
            server.process.send_signal(signal.SIGTERM)
            wait_until_refused(server)
            connection.sendall(body[10:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert server.process.wait(60) == 0


def test_stop_answers_what_grpc_has_accepted(exported: tuple[Exported, Exported], tmp_path: Path) -> None:
    push(exported[0].path, tmp_path / "models")
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([TEXTS[-1]] * 50))
    with (
        running(tmp_path / "models", 1, max_batch_rows=1, drain_seconds=120) as server,
        ThreadPoolExecutor(16) as clients,
        httpx.Client(timeout=60) as metrics,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(
            grpc.insecure_channel(f"127.0.0.1:{server.grpc}")
        )
        answers = [clients.submit(stub.Predict, request, timeout=240) for _ in range(16)]
        deadline = time.monotonic() + 60
        while waiting_requests(metrics, server) < 16 - sum(answer.done() for answer in answers):
            assert time.monotonic() < deadline
        server.process.send_signal(signal.SIGTERM)
        rows = [len(tf.make_ndarray(answer.result().outputs["label"])) for answer in answers]
        assert rows == [50] * 16
        assert server.process.wait(60) == 0


def waiting_requests(metrics: httpx.Client, server: Server) -> float:
    text = metrics.get(f"{server.url}/metrics").text
    return next(
        float(line.split()[1]) for line in text.splitlines() if line.startswith("serving_waiting_requests ")
    )


def wait_until_refused(server: Server) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", server.rest), timeout=5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError("new connections are still taken")


def test_killed_under_load_it_serves_the_newest_good_version_again(
    exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    serving_dir = tmp_path / "models"
    for model in exported:
        push(model.path, serving_dir)
    with running(serving_dir, 2) as server, Load(server, exported) as load:
        deadline = time.monotonic() + 60
        while load.answers["right"] < CLIENTS:
            assert time.monotonic() < deadline, load.answers
            time.sleep(0.05)
        server.process.kill()
        server.process.wait(60)
    rubbish = serving_dir / NAME / "3"
    rubbish.mkdir()
    (rubbish / "saved_model.pb").write_bytes(b"rubbish")
    with running(serving_dir, 2) as server:
        answer = server.predict({"instances": TEXTS}).json()
        assert answer["model_version"] == "2"
        assert [row["label"] for row in answer["predictions"]] == exported[1].labels


def test_taken_port_is_said_in_one_line(
    exported: tuple[Exported, Exported], tmp_path: Path, server: Server
) -> None:
    for taken in ({"port": server.rest, "grpc_port": 0}, {"port": 0, "grpc_port": server.grpc}):
        command = [sys.executable, "-m", "components.serving", str(tmp_path), NAME, json.dumps(taken)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as done:
            assert done.wait(120) == 1
            assert done.stderr is not None
            said = done.stderr.read()
        assert f"127.0.0.1:{server.rest if taken['port'] else server.grpc}" in said.splitlines()[-1]
        assert "Traceback" not in said
