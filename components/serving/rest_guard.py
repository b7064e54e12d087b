"""Around the whole REST application: limits of the body, log and metrics, the request's id."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from components.serving.errors import InvalidRequest, RequestError, TooLarge, TooSlow
from components.serving.observation import Observer, RequestLog
from components.serving.rest_errors import error_response
from components.serving.settings import ServeSettings

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

# Of a body over the limit, so much is read and dropped: a client that is still sending when the connection
# is closed does not get to read why.
_LINGER_BYTES = 64 << 20


class Guard:
    """See the module.

    The body is read here, whole, so that its limits hold for every endpoint alike.
    """

    def __init__(self, app: _App, observer: Observer, settings: ServeSettings) -> None:
        self._app, self._observer, self._settings = app, observer, settings

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        log = self._observer.begin("rest", f"{scope['method']} {scope['path']}", headers.get("x-request-id"))
        watched = _Watched(send, log)
        try:
            body = await self._body(headers, receive)
            if body is not None:
                body = _inflated(body, headers.get("content-encoding", ""), self._settings.max_request_bytes)
                await self._app(scope, _replay(body, receive), watched)
        except RequestError as error:
            await error_response(error, close=True)(scope, receive, watched)
        finally:
            log.end(watched.status)

    async def _body(self, headers: dict[str, str], receive: _Receive) -> bytes | None:
        """None when the client hung up in the middle."""
        limit, told = self._settings.max_request_bytes, headers.get("content-length", "0")
        if told.isdigit() and int(told) > limit + _LINGER_BYTES:
            raise TooLarge(f"a request has at most {limit} bytes, got {told[:20]}")
        try:
            async with asyncio.timeout(self._settings.read_seconds):
                return await _read(receive, limit)
        except TimeoutError:
            raise TooSlow(f"the body did not arrive within {self._settings.read_seconds:g} s") from None


async def _read(receive: _Receive, limit: int) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part, more = message.get("body", b""), message.get("more_body")
        size += len(part)
        if size <= limit:
            parts.append(part)
        elif not more or size > limit + _LINGER_BYTES:
            raise TooLarge(f"a request has at most {limit} bytes")
        if not more:
            return b"".join(parts)


def _inflated(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before the client compressed it; as TF Serving, gzip only."""
    encoding = encoding.strip().lower()
    if not body or encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise InvalidRequest(
            f"Content-Encoding {encoding[:40]!r} is not read: send the body as it is, or as gzip"
        )
    inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidRequest(f"the body is not gzip, as its Content-Encoding says: {error}") from None
    if len(content) > limit:
        raise TooLarge(f"a request has at most {limit} bytes, its gzip body holds more")
    if not inflate.eof or inflate.unused_data:
        raise InvalidRequest("the gzip body is cut off" if not inflate.eof else "more follows the gzip body")
    return content


def _replay(body: bytes, receive: _Receive) -> _Receive:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> _Message:
        return messages.pop() if messages else await receive()

    return again


class _Watched:
    """Sends on, notes the status and adds the request's id."""

    def __init__(self, send: _Send, log: RequestLog) -> None:
        self._send, self._log = send, log
        self.status = 499  # as others log a client that went away

    async def __call__(self, message: _Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self._log.id.encode("latin-1", "replace")),
            ]
        await self._send(message)
