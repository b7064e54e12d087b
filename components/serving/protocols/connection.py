"""A connection of the REST port that limits headers in time and size and delivers rejections to the client.

uvicorn does not limit headers and waits for them forever. It also closes a connection as soon as it has answered:
the kernel then resets it while the client is still sending, and the client never reads the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from components.serving.settings import ServeSettings

# After a rejection, at most this many bytes are read and dropped, for at most `read_seconds`.
_LINGER_BYTES = 64 << 20


class _OverLimit(Exception):
    """Ends the parsing of a request."""


class LimitedConnection(HttpToolsProtocol):
    """uvicorn's protocol with limits on the headers of a request and on the trailers after its body.

    A clock runs from the opening of the connection, or the first byte of a request, to the end of its headers.
    Between two requests it does not run; uvicorn's own keep-alive timeout applies.

    Args:
        settings: read_seconds, max_header_bytes, max_headers.
        on_refused: called with the HTTP status of a request that is rejected here.
    """

    def __init__(
        self, *args: Any, settings: ServeSettings, on_refused: Callable[[int], None], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._settings, self._on_refused = settings, on_refused
        self._deadline: asyncio.TimerHandle | None = None
        self._in_headers = False
        self._bytes = self._headers = 0  # of the request line and the headers so far, or of the trailers
        self._silent = 0  # bytes since the parser last made progress
        self._over: tuple[int, str] | None = None  # the limit that a request exceeds
        self._refusal: bytes | None = None  # the last answer; everything received afterwards is dropped
        self._linger = _LINGER_BYTES

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock."""
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._stop()
        if self.cycle is not None:
            self.cycle.transport = self.transport  # breaks a reference cycle
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Starts the clock if no request is active, even on empty lines, which do not begin a request."""
        if self._refusal is not None:
            self._drop(len(data))
            return
        if self._is_idle():
            self._start()
        self._silent += len(data)
        super().data_received(data)
        if self._silent > self._settings.max_header_bytes and self._refusal is None:
            self._refuse(*self._headers_too_large())  # one header without an end

    def on_message_begin(self) -> None:
        """Starts the clock, also for a request that was pipelined after an active one."""
        self._start()
        self._in_headers, self._bytes, self._headers, self._silent = True, 0, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Counts it."""
        limit = self._settings.max_header_bytes
        self._grow(len(url), (414, f"a request has at most {limit} bytes of address and headers"))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Counts the header. Trailers are dropped: uvicorn would add them to headers that were already read."""
        self._headers += 1
        if self._headers > self._settings.max_headers:
            self._over = (431, f"a request has at most {self._settings.max_headers} headers")
            raise _OverLimit
        self._grow(len(name) + len(value) + len(b": \r\n"), self._headers_too_large())
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stops the clock; from here on the time limit of the body applies."""
        self._stop()
        self._in_headers, self._bytes, self._headers, self._silent = False, 0, 0, 0
        super().on_headers_complete()
        self.cycle.transport = _Lingering(self)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """As uvicorn's."""
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """As uvicorn's."""
        self._silent = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Also sends the rejection of a request that was pipelined after this one."""
        if self._refusal == b"":
            return
        super().on_response_complete()
        if self._refusal is not None and self._is_idle():
            self._answer_last()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn when the parser stops, at invalid HTTP or at one of our limits."""
        self._refuse(*(self._over or (400, msg)))

    def _unsupported_upgrade_warning(self) -> None:
        """Suppresses uvicorn's advice to install a library for a protocol that is not served."""

    def close_after_answer(self) -> None:
        """Closes the connection, but not while the client is still sending the answered request."""
        if self.cycle.more_body:
            self._refusal = b""
            self._end_answers()
        else:
            self.transport.close()

    def _headers_too_large(self) -> tuple[int, str]:
        return 431, f"a request has at most {self._settings.max_header_bytes} bytes of address and headers"

    def _grow(self, size: int, over: tuple[int, str]) -> None:
        self._silent = 0
        self._bytes += size
        if self._bytes > self._settings.max_header_bytes:
            self._over = over
            raise _OverLimit

    def _is_idle(self) -> bool:
        return (self.cycle is None or self.cycle.response_complete) and not self.pipeline

    def _start(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._settings.read_seconds, self._cut_off)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut_off(self) -> None:
        self._refuse(408, "the headers did not arrive in time")

    def _refuse(self, status: int, reason: str) -> None:
        self._stop()
        if self.transport.is_closing():
            return
        self._on_refused(status)
        self._refusal = _answer(status, reason)
        if not self._in_headers and not self._is_idle() and self.cycle.more_body:
            self._abandon()
        elif self._is_idle():
            self._answer_last()

    def _abandon(self) -> None:
        """Ends the active request, whose own body or trailers are rejected."""
        if self.cycle.response_started or self.pipeline:
            self.transport.close()
            return
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        self._answer_last()

    def _answer_last(self) -> None:
        assert self._refusal is not None
        self.transport.write(self._refusal)
        self._refusal = b""
        self._end_answers()

    def _end_answers(self) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._stop()
        self.transport.write_eof()
        self.flow.resume_reading()
        self._deadline = self.loop.call_later(self._settings.read_seconds, self.transport.close)

    def _drop(self, size: int) -> None:
        self._linger -= size
        if self._linger < 0:
            self.transport.close()


class _Lingering:
    """The transport as a request sees it; closing it waits for what the client still sends."""

    def __init__(self, connection: LimitedConnection) -> None:
        self._connection = connection
        self.write, self.is_closing = connection.transport.write, connection.transport.is_closing

    def close(self) -> None:
        """See `LimitedConnection.close_after_answer`."""
        self._connection.close_after_answer()


def _answer(status: int, reason: str) -> bytes:
    body = orjson.dumps({"error": reason})
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
