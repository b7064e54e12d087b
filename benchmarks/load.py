"""A load generator: clients in a closed loop, each with its own connection. Uses the standard library only.

    python -m benchmarks.load JOB.json

The job: {"port", "path", "questions": [...], "clients", "seconds"}; with seconds 0 every question is asked
once and the result has the labels. With "until", the path of a file, the load ends when that file exists. The load
generator shares the cores with the server and therefore does little work: requests are encoded before the clock starts,
and only the length of an answer is checked.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.processes import print_result

_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
WARM_SECONDS = 0.5  # of the same load before the clock starts


class Client(asyncio.Protocol):
    """A client that sends the next request as soon as an answer is complete.

    Args:
        requests: the requests to send; may be infinite.
        answered: called with (seconds, body) of each answer.
    """

    def __init__(self, requests: Iterator[bytes], answered: Any) -> None:
        self._requests, self._answered = requests, answered
        self._buffer, self._sent = b"", 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            self._fail(f"answered {self._buffer[:300]!r}")
        elif len(body) >= int(length[1]):
            self._buffer = b""
            self._answered(time.perf_counter() - self._sent, body)
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the server closed the connection: {error}")

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(why))


def encode(path: str, question: str) -> bytes:
    """Encodes a predict request with one row."""
    body = json.dumps({"instances": [question]}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _connect(port: int, requests: Iterator[bytes], answered: Any) -> Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(requests, answered), "127.0.0.1", port)
    return client


async def ask_once(job: dict[str, Any]) -> dict[str, Any]:
    """Asks every question once, spread over all clients: {"labels": [...]} in the order of the questions."""
    requests = [encode(job["path"], question) for question in job["questions"]]
    labels: list[str | None] = [None] * len(requests)

    def keep(number: int, body: bytes) -> None:
        labels[number] = json.loads(body)["predictions"][0]["label"]

    clients = []
    for first in range(job["clients"]):
        numbers = range(first, len(requests), job["clients"])
        answers = iter(numbers)
        own_requests = (requests[number] for number in numbers)
        clients.append(
            await _connect(
                job["port"], own_requests, lambda _, body, answers=answers: keep(next(answers), body)
            )
        )
    await asyncio.gather(*(client.done for client in clients))
    return {"labels": labels}


async def closed_loop(job: dict[str, Any]) -> dict[str, Any]:
    """Returns {"per_second", "p50_ms", "p99_ms", "requests"} of the answers that came while the clock ran."""
    starts = time.perf_counter() + WARM_SECONDS
    ends = starts + job["seconds"]
    requests = [encode(job["path"], question) for question in job["questions"]]
    random.Random(job["clients"]).shuffle(requests)
    took: list[float] = []

    def stopped() -> bool:
        return "until" in job and os.path.exists(job["until"])

    def until_the_end(first: int) -> Iterator[bytes]:
        number = first
        while time.perf_counter() < ends and not stopped():
            yield requests[number % len(requests)]
            number += 1

    def keep(seconds: float, body: bytes) -> None:
        if starts <= time.perf_counter() <= ends:
            took.append(seconds)

    spread = len(requests) // job["clients"]
    clients = [await _connect(job["port"], until_the_end(n * spread), keep) for n in range(job["clients"])]
    await asyncio.gather(*(client.done for client in clients))
    return summary(took, min(time.perf_counter(), ends) - starts)


def summary(took: list[float], seconds: float) -> dict[str, Any]:
    """Summarizes latencies: `summary([0.001, 0.003], 2.0)["per_second"] -> 1.0`.

    Raises:
        ConnectionError: no request was answered.
    """
    if not took:
        raise ConnectionError(f"no request was answered in {seconds:g} s")
    ordered = sorted(took)
    return {
        "requests": len(ordered),
        "per_second": len(ordered) / seconds,
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
    }


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print_result(asyncio.run(closed_loop(job) if job["seconds"] else ask_once(job)))


if __name__ == "__main__":
    main()
