"""Headers are limited in number and size, and clients that exceed a limit can read the reason, even while sending."""

from __future__ import annotations

import contextlib
import json
import re
import socket

import httpx
import pytest

from tests.support.model_server import NAME, Server

MAX_BYTES, MAX_HEADERS = 32768, 100  # serve.max_header_bytes and serve.max_headers
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
BODY = b'{"instances": ["cat"]}'
PREDICT = f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: a\r\n".encode()
CHUNKED = PREDICT + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)
TOO_LONG = (431, f"a request has at most {MAX_BYTES} bytes of address and headers")
TOO_MANY = (431, f"a request has at most {MAX_HEADERS} headers")


def headers(count: int) -> bytes:
    return b"".join(b"X-%d: a\r\n" % number for number in range(count))


def exchange(server: Server, data: bytes) -> list[tuple[int, str]]:
    """(status, the body's error, or the body) of every answer until the server closes; the client never does."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.rest), timeout=30) as connection:
        with contextlib.suppress(BrokenPipeError):  # after 64 MB that are not read
            connection.sendall(data)
        while part := connection.recv(65536):
            received += part
    answers = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = int(re.findall(rb"(?i)content-length: *(\d+)", head)[0])
        body, received = json.loads(rest[:length]), rest[length:]
        answers.append((int(head.split()[1]), body.get("error", "")))
    return answers


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (LIVE + b"X-A: " + b"a" * (20 << 20) + b"\r\n\r\n", TOO_LONG),
        (LIVE + b"X-A: " + b"a" * (1 << 20), TOO_LONG),
        (LIVE + b"a" * (1 << 20) + b": a\r\n\r\n", TOO_LONG),
        (
            LIVE + b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(40)) + b"\r\n",
            TOO_LONG,
        ),
        (LIVE + headers(MAX_HEADERS) + b"\r\n", TOO_MANY),
        (LIVE + headers(1_000_000), TOO_MANY),
        (b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: a\r\n\r\n", (414, TOO_LONG[1])),
        (b"GET /?" + b"a" * (1 << 20), (414, TOO_LONG[1])),
        (CHUNKED + CHUNK + b"0\r\n" + headers(MAX_HEADERS + 1) + b"\r\n", TOO_MANY),
        (CHUNKED + CHUNK + b"0\r\nX-A: " + b"a" * (1 << 20), TOO_LONG),
        (CHUNKED + b"1;a=" + b"a" * (1 << 20), TOO_LONG),
        (b"\r\n" * (1 << 20), TOO_LONG),
    ],
    ids=[
        "20 MB in one header",
        "a header without an end",
        "a long name",
        "many long ones",
        "one too many",
        "a million",
        "a long address",
        "an address without an end",
        "many trailers",
        "a trailer without an end",
        "a chunk extension without an end",
        "empty lines",
    ],
)
def test_more_headers_than_allowed_are_answered_with_431(
    server: Server, request_: bytes, answer: tuple[int, str]
) -> None:
    before = server.memory()
    assert exchange(server, request_) == [answer]
    assert server.memory() < before + (8 << 20)
    assert server.predict({"instances": ["cat"]}).status_code == 200


def test_as_many_headers_as_allowed_are_answered(server: Server) -> None:
    fill = b"X-A: " + b"a" * (MAX_BYTES - 2000) + b"\r\n"
    assert exchange(server, LIVE + headers(MAX_HEADERS - 3) + fill + b"\r\n") == [(200, "")]
    assert exchange(
        server, CHUNKED.replace(b"Host", b"Connection: close\r\nHost") + CHUNK + b"0\r\nX-A: b\r\n\r\n"
    ) == [(200, "")]


def test_trailers_are_no_headers(server: Server) -> None:
    late = b"Inference-Header-Content-Length: 1\r\nContent-Encoding: gzip\r\n"
    text = b'{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["cat"]}]}'
    path = f"POST /v2/models/{NAME}/infer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n".encode()
    chunk = b"%x\r\n%s\r\n" % (len(text), text)
    sent = path + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n" + late + b"\r\n"
    assert exchange(server, sent) == [(200, "")]


def test_refusal_behind_a_request_comes_after_its_answer(server: Server) -> None:
    good = PREDICT + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    assert exchange(server, good * 2 + LIVE + headers(200) + b"\r\n") == [(200, ""), (200, ""), TOO_MANY]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (PREDICT + b"Content-Length: %d\r\n\r\n" % (40 << 20) + b" " * (40 << 20), 413),
        (PREDICT + b"Content-Length: %d\r\n\r\n" % (200 << 20) + b" " * (200 << 20), 413),
        (CHUNKED + (b"100000\r\n" + b" " * (1 << 20) + b"\r\n") * 40, 413),
        (PREDICT + b"ce-specversion: 1.0\r\nContent-Length: %d\r\n\r\n" % (1 << 20) + b" " * (1 << 20), 400),
        (b"no HTTP " * (1 << 20), 400),
        (CHUNKED + b"zz\r\n" + b" " * (8 << 20), 400),
    ],
    ids=[
        "large",
        "too large to read",
        "large in chunks",
        "refused by its headers",
        "no HTTP",
        "broken chunks",
    ],
)
def test_refusal_reaches_a_client_that_is_still_sending(server: Server, request_: bytes, status: int) -> None:
    ((found, reason),) = exchange(server, request_)
    assert found == status
    assert reason != ""


def test_refused_requests_are_counted(server: Server) -> None:
    exchange(server, LIVE + headers(200) + b"\r\n")
    metrics = httpx.get(f"{server.url}/metrics", timeout=60).text
    found = re.search(r'^serving_requests_total\{code="431",protocol="rest"\} (\S+)$', metrics, re.MULTILINE)
    assert found is not None
    assert float(found[1]) >= 1


def test_web_socket_is_answered_as_http(server: Server) -> None:
    upgrade = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    upgrade += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.rest), timeout=30) as connection:
        connection.sendall(upgrade)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert "Unsupported upgrade" not in server.log.read_text()
