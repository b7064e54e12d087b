"""A connection of the REST port: its headers come in time, or it is closed.

uvicorn waits for them for ever, so that a client which sends a byte now and then holds a connection for nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_SLOW = b'{"error": "the headers did not arrive in time"}'
_ANSWER = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: " + str(len(_TOO_SLOW)).encode() + b"\r\n\r\n" + _TOO_SLOW
)


class TimedConnection(HttpToolsProtocol):
    """uvicorn's protocol with a clock from the first byte of a request to the end of its headers.

    The clock also runs from the opening of the connection. Between two requests it stands still: there
    uvicorn's own keep-alive time holds.

    Args:
      read_seconds: time for the headers of one request.
    """

    def __init__(self, *args: Any, read_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_seconds = read_seconds
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock."""
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Starts the clock when nothing is in work, also on empty lines, which begin no request."""
        if self._is_idle():
            self._start()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Starts the clock, also for a request behind one that is in work."""
        self._start()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stops the clock; from here on the time for the body counts."""
        self._stop()
        super().on_headers_complete()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._read_seconds, self._cut_off)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut_off(self) -> None:
        if self._is_idle() and not self.transport.is_closing():
            self.transport.write(_ANSWER)
        self.shutdown()  # a request before it that is in work is still answered
