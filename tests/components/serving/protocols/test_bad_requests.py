"""The answer to any request is 4xx or correct, and the next good request is answered."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.support.model_server import NAME, Server

PREDICT = f"/v1/models/{NAME}:predict"
INFER = f"/v2/models/{NAME}/infer"
Request = tuple[str, str, bytes, dict[str, str]]

VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**70,
    1e308,
    "",
    "a",
    [],
    {},
    [[]],
    [None],
    [1],
    [1.5],
    [True],
    [{}],
    [["a"]],
    ["a", 1],
    ["a", ["b"]],
    [{"b64": "%%"}],
    [{"b64": 1}],
    [{"b64": "/w=="}],
    [{"text": None}],
    [{"text": "a", "more": 1}],
    [{"input_ids": [1], "attention_mask": [1, 1]}],
    [{"input_ids": [1, 2], "attention_mask": [1]}, {"input_ids": [1], "attention_mask": [1]}],
    [{"input_ids": [10**6], "attention_mask": [1]}],
    [{"input_ids": [-5], "attention_mask": [1]}],
    [{"input_ids": [2**63], "attention_mask": [1]}],
    [{"input_ids": [2] * 5000, "attention_mask": [1] * 5000}],
    {"text": 1},
    {"text": []},
    {"examples": ["not an example"]},
    ["x"] * 101,
    ["x" * 5000],
)
BODIES: tuple[bytes, ...] = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"a"',
    b"{}",
    b"\xff\xfe",
    b'{"instances": ["\xff"]}',
    b'{"instances": ["\\ud800"]}',
    b'{"instances": [NaN]}',
    b'{"instances": ["a"], "inputs": ["a"]}',
    b'{"instances": ["a"], "signature_name": 3}',
    b'{"instances": ["a"]} trailing',
    b'{"instances": ' + b"[" * 100_000,
    b'{"instances": ' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"instances": ["' + b"a" * (10 << 20) + b'"]}',
    b"\x00" * 1000,
    b"\x1f\x8b" + b"\x00" * 50,
)
PATHS: tuple[str, ...] = (
    "/v1/models/other:predict",
    "/v1/models/%00:predict",
    "/v1/models/:predict",
    f"/v1/models/{NAME}/versions/0:predict",
    f"/v1/models/{NAME}/versions/-1:predict",
    f"/v1/models/{NAME}/versions/x:predict",
    f"/v1/models/{NAME}/versions/1.0:predict",
    f"/v1/models/{NAME}/versions/99999999999999999999999:predict",
    f"/v1/models/{NAME}/versions/%D9%A1:predict",
    f"/v1/models/{NAME}/labels/stable:predict",
    f"/v1/models/{NAME}:classify",
    f"/v1/models/{NAME}:regress",
    f"/v1/models/{NAME}:explain",
    f"/v1/models/{NAME}:",
    f"/v1/models/{NAME}",
    f"/v1/models/{NAME}/../../etc/passwd",
    "/v1/models/" + "a" * 5000 + ":predict",
    "/v2/models/other/infer",
    f"/v2/models/{NAME}/versions/9/infer",
    f"/v2/repository/models/{NAME}/load",
    f"/v2/repository/models/{NAME}/unload",
    "/metrics",
    "/",
    "/favicon.ico",
)
TENSORS: tuple[Any, ...] = (
    {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a"]},
    {"name": "text", "shape": [-1], "datatype": "BYTES", "data": ["a"]},
    {"name": "text", "shape": [1, 1, 1], "datatype": "BYTES", "data": ["a"]},
    {"name": "text", "shape": [0], "datatype": "BYTES", "data": []},
    {"name": "text", "shape": [], "datatype": "BYTES", "data": ["a"]},
    {"name": "text", "shape": [10**12], "datatype": "BYTES", "data": ["a"]},
    {"name": "text", "shape": [1], "datatype": "BYTES", "data": [1]},
    {"name": "text", "shape": [1], "datatype": "BYTES", "data": [None]},
    {"name": "text", "shape": [1], "datatype": "BYTES", "data": [{"a": 1}]},
    {"name": "text", "shape": [1], "datatype": "INT64", "data": [1]},
    {"name": "text", "shape": [1], "datatype": "INT64", "data": ["a"]},
    {"name": "text", "shape": [1], "datatype": "FP99", "data": [1]},
    {"name": "text", "shape": [1], "datatype": "", "data": ["a"]},
    {"name": "more", "shape": [1], "datatype": "BYTES", "data": ["a"]},
    {"name": None, "shape": [1], "datatype": "BYTES", "data": ["a"]},
    {"name": "text"},
    {"name": "text", "shape": "1", "datatype": "BYTES", "data": "a"},
    {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"], "parameters": {"binary_data_size": 5}},
)


def requests() -> Iterator[Request]:
    for value, key, signature in itertools.product(
        VALUES, ("instances", "inputs"), ("", "serve_tokens", "serve_examples", "nope")
    ):
        yield "POST", PREDICT, json.dumps({"signature_name": signature, key: value}).encode(), {}
    for body, path in itertools.product(BODIES, (PREDICT, INFER)):
        yield "POST", path, body, {"Content-Type": "application/json"}
        yield "POST", path, body, {"Inference-Header-Content-Length": "7"}
    for path, method in itertools.product(PATHS, ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS")):
        yield method, path, b'{"instances": ["a"]}', {}
    for tensor in TENSORS:
        body = json.dumps({"inputs": [tensor]}).encode()
        yield "POST", INFER, body, {"Content-Type": "application/json"}
        yield "POST", INFER, json.dumps({"inputs": [tensor, tensor]}).encode(), {}
        yield "POST", INFER, body + b"\xff\xff\xff", {"Inference-Header-Content-Length": str(len(body))}
    good = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}
    for more in (
        {"outputs": [{"name": "none"}]},
        {"outputs": 3},
        {"parameters": {"signature_name": "nope"}},
        {"parameters": {"signature_name": ["a"]}},
        {"parameters": {"binary_data_output": "maybe"}},
        {"id": 3},
    ):
        yield "POST", INFER, json.dumps({"inputs": [good], **more}).encode(), {}
    for length in ("-1", "abc", "999999", ""):
        yield "POST", INFER, b"{}", {"Inference-Header-Content-Length": length}
    for header in (
        {"Content-Type": "\x7f"},
        {"X-Request-Id": "x" * 5000},
        {"ce-id": "1", "ce-specversion": "9"},
    ):
        yield "POST", INFER, b"{}", header


def is_alive(server: Server) -> bool:
    answer = server.predict({"instances": ["how far is rome?"]})
    return answer.status_code == 200 and answer.json()["predictions"][0]["label"] != ""


def test_every_request_gets_a_4xx(server: Server) -> None:
    wrong, count, hung_up = [], 0, 0
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for count, (method, path, body, headers) in enumerate(requests(), 1):
            try:
                answer = client.request(method, path, content=body, headers=headers)
            except (httpx.RemoteProtocolError, httpx.ReadError):
                hung_up += 1  # on a header that is not HTTP
                continue
            status = answer.status_code
            if status >= 500 or (status < 400 and path in (PREDICT, INFER)):
                wrong.append((status, method, path, body[:200], headers))
            if count % 50 == 0:
                assert is_alive(server)
    assert wrong == []
    assert count >= 200
    assert hung_up <= 1
    assert is_alive(server)


@pytest.mark.parametrize(
    ("instances", "reason"),
    [
        ([3], "JSON Value: 3 is not of expected type: string (input 'text')"),
        (["a", ["b"]], "JSON Value: ['b'] is not of expected type: string (input 'text')"),
        ([], "'instances' must be a list with at least one element"),
        (["a"] * 101, "a request has 1 to 100 rows, got 101"),
        (["a" * 4097], "input 'text' has a text of 4097 bytes, at most 4096 are allowed"),
    ],
)
def test_error_says_what_is_wrong(server: Server, instances: list[Any], reason: str) -> None:
    answer = server.predict({"instances": instances})
    assert (answer.status_code, answer.json()) == (400, {"error": reason})


IDS = {"name": "input_ids", "shape": [1, 3], "datatype": "INT64", "data": [2, 9, 3]}
MASK = {"name": "attention_mask", "shape": [1, 3], "datatype": "INT64", "data": [1, 1, 1]}


@pytest.mark.parametrize(
    ("ids", "mask", "reason"),
    [
        ({"data": [2.9, 9, 3]}, {}, "JSON Value: 2.9 is not of expected type: integer (input 'input_ids')"),
        (
            {"data": ["2", "9", "3"]},
            {},
            "JSON Value: '2' is not of expected type: integer (input 'input_ids')",
        ),
        (
            {"data": [[True, 9, 3]]},
            {},
            "JSON Value: True is not of expected type: integer (input 'input_ids')",
        ),
        (
            {"data": [2**33 + 2, 9, 3]},
            {},
            "input 'input_ids' has the value 8589934594; it takes 0 to 2147483647",
        ),
        ({"data": [2, -9, 3]}, {}, "input 'input_ids' has the value -9; it takes 0 to 2147483647"),
        ({}, {"data": [1, 99, 1]}, "input 'attention_mask' has the value 99; it takes 0 to 1"),
        (
            {},
            {"shape": [1, 1], "data": [1]},
            "inputs must have equal shapes, got {'attention_mask': [1, 1], 'input_ids': [1, 3]}",
        ),
    ],
)
def test_token_ids_that_another_answer_would_be_given_to_are_refused(
    server: Server, ids: dict[str, Any], mask: dict[str, Any], reason: str
) -> None:
    asked = {"parameters": {"signature_name": "serve_tokens"}, "inputs": [IDS | ids, MASK | mask]}
    answer = server.predict(asked, INFER)
    assert (answer.status_code, answer.json()) == (400, {"error": reason})
    good = {"parameters": {"signature_name": "serve_tokens"}, "inputs": [IDS, MASK]}
    assert server.predict(good, INFER).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"no gzip", 400, "the body is not gzip, as its Content-Encoding says: Error -3 while decompressing"),
        (gzip.compress(b"{}") + b"more", 400, "more follows the gzip body"),
        (b"", 400, "JSON Parse error"),
        (gzip.compress(b'{"instances": ["a"]}')[:-9], 400, "the gzip body is cut off"),
        (
            gzip.compress(b" " * (2 << 20)),
            413,
            "a request has at most 1048576 bytes, its gzip body holds more",
        ),
    ],
    # The bytes have the time in them: two processes would collect tests of other names.
    ids=["no gzip", "more behind it", "empty", "cut off", "too large"],
)
def test_gzip_body_that_is_damaged_or_grows_too_large_is_refused(
    server: Server, body: bytes, status: int, reason: str
) -> None:
    answer = httpx.post(server.url + PREDICT, content=body, headers={"Content-Encoding": "gzip"}, timeout=60)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(reason)


def test_other_encodings_are_refused_by_name(server: Server) -> None:
    answer = httpx.post(server.url + PREDICT, content=b"a", headers={"Content-Encoding": "br"}, timeout=60)
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "Content-Encoding 'br' is not supported: send the body uncompressed or as gzip"},
    )


def test_body_over_the_limit_is_413(server: Server) -> None:
    answer = server.predict({"instances": ["a" * (1 << 20)]})
    assert answer.status_code == 413
    assert "at most 1048576 bytes" in answer.json()["error"]


def raw(server: Server, data: bytes, finish: bool) -> bytes:
    with socket.create_connection(("127.0.0.1", server.rest), timeout=30) as connection:
        connection.sendall(data)
        if finish:
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(65536)


def test_body_that_does_not_come_gets_408(server: Server) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n".encode()
    assert raw(server, head + b'{"inst', finish=False).startswith(b"HTTP/1.1 408")
    assert is_alive(server)


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nX-A: "])
def test_headers_that_trickle_get_408(server: Server, begin: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.rest), timeout=0.2) as connection:
        connection.sendall(begin)
        answer = trickle(connection, b"a" if begin else b"\r\n")
    assert answer.startswith(b"HTTP/1.1 408")
    assert is_alive(server)


def trickle(connection: socket.socket, data: bytes) -> bytes:
    """Sends `data` repeatedly until there is an answer."""
    for _ in range(300):
        connection.sendall(data)
        with contextlib.suppress(TimeoutError):
            return connection.recv(65536)
    raise AssertionError("the connection is still open")


def test_many_slow_clients_keep_nobody_waiting(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.rest), timeout=60))
            for _ in range(200)
        ]
        for connection in slow:
            connection.sendall(b"POST / HTTP/1.1\r\nX-A: ")
        assert is_alive(server)
        assert {connection.recv(65536)[:12] for connection in slow} == {b"HTTP/1.1 408"}


def test_connection_that_rests_between_requests_is_kept(server: Server) -> None:
    with contextlib.closing(HTTPConnection("127.0.0.1", server.rest, timeout=30)) as connection:
        connection.connect()
        connection.auto_open = False  # so that a closed connection is an error
        for _ in range(4):
            connection.request("GET", "/v2/health/live")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"live":true}')
            time.sleep(0.8)  # longer than read_seconds in all, shorter than uvicorn's keep-alive at a time


def test_half_headers_behind_a_request_do_not_cost_its_answer(server: Server) -> None:
    both = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nX-A: "
    with socket.create_connection(("127.0.0.1", server.rest), timeout=30) as connection:
        connection.sendall(both)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


@pytest.mark.parametrize(
    "data",
    [
        f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf".encode(),
        f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode(),
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\r\n\r\n\r\n",
    ],
)
def test_half_a_request_hurts_nobody(server: Server, data: bytes) -> None:
    answer = raw(server, data, finish=True)
    assert not answer.startswith(b"HTTP/1.1 5")
    assert is_alive(server)


def tensor_protos() -> Iterator[Any]:
    yield tf.make_tensor_proto([1])
    yield tf.make_tensor_proto(np.array([[b"a"]], object))
    yield tf.make_tensor_proto(np.array([], object), dtype=tf.string)
    yield tf.make_tensor_proto(["a"] * 101)
    yield tf.make_tensor_proto(["a" * 4097])
    lies = tf.make_tensor_proto(["a"])
    lies.tensor_shape.dim[0].size = 10**12
    yield lies
    negative = tf.make_tensor_proto(["a"])
    negative.tensor_shape.dim[0].size = -1
    yield negative
    half = tf.make_tensor_proto(np.array([1.0, 2.0], np.float32))
    half.tensor_content = half.tensor_content[:3]
    yield half
    nothing = tf.make_tensor_proto(["a"])
    nothing.dtype = 0
    yield nothing


def test_grpc_never_says_that_the_server_is_at_fault(server: Server) -> None:
    channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc}")
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    codes = []
    for tensor, name, signature, key in itertools.product(
        tensor_protos(), (NAME, "other"), ("", "serve_tokens", "nope"), ("text", "more")
    ):
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = name, signature
        request.inputs[key].CopyFrom(tensor)
        codes.append(status_of(stub.Predict, request))
    for method in (
        "tensorflow.serving.PredictionService/Predict",
        "inference.GRPCInferenceService/ModelInfer",
    ):
        codes.append(status_of(channel.unary_unary(f"/{method}"), b"\xff\xff no protobuf"))
    assert [code.name for code in codes[-2:]] == ["INVALID_ARGUMENT", "INVALID_ARGUMENT"]
    assert {code.name for code in codes} == {"INVALID_ARGUMENT", "NOT_FOUND"}
    assert is_alive(server)


def status_of(call: Any, request: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as error:
        call(request, timeout=30)
    return error.value.code()
