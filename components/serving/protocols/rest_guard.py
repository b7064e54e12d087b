"""Middleware around the whole REST application: limits of the body, log, metrics and request id."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from components.serving.errors import InvalidRequest, RequestError, TooLarge, TooSlow, shown
from components.serving.observation import Observer, RequestLog
from components.serving.protocols.rest_errors import error_response
from components.serving.settings import ServeSettings

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


class Guard:
    """See the module.

    The whole body is read here, so that its limits apply to all endpoints.
    """

    def __init__(self, app: _App, observer: Observer, settings: ServeSettings) -> None:
        self._app, self._observer, self._settings = app, observer, settings

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        log = self._observer.begin("rest", f"{scope['method']} {scope['path']}", headers.get("x-request-id"))
        watched = _Watched(send, log)
        try:
            _refuse_what_is_not_done(scope, headers)
            body = await self._body(headers, receive)
            if body is not None:
                body = _inflated(body, headers.get("content-encoding", ""), self._settings.max_request_bytes)
                await self._app(scope, _replay(body, receive), watched)
        except RequestError as error:
            await error_response(error, close=True)(scope, receive, watched)
        finally:
            log.end(watched.status)

    async def _body(self, headers: dict[str, str], receive: _Receive) -> bytes | None:
        """The body; None if the client disconnected before its end."""
        limit, declared = self._settings.max_request_bytes, headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            raise TooLarge(f"a request has at most {limit} bytes, got {declared[:20]}")
        try:
            async with asyncio.timeout(self._settings.read_seconds):
                return await _read(receive, limit)
        except TimeoutError:
            raise TooSlow(f"the body did not arrive within {self._settings.read_seconds:g} s") from None


async def _read(receive: _Receive, limit: int) -> bytes | None:
    parts: list[bytes] = []
    left = limit
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        left -= len(parts[-1])
        if left < 0:
            raise TooLarge(f"a request has at most {limit} bytes")
        if not message.get("more_body"):
            return b"".join(parts)


def _refuse_what_is_not_done(scope: _Scope, headers: dict[str, str]) -> None:
    """Rejects what the handlers would ignore, so that they would answer something else than was requested."""
    if "ce-specversion" in headers or "cloudevents" in headers.get("content-type", ""):
        raise InvalidRequest(
            "CloudEvents are not served: send the request without ce- headers, as application/json"
        )
    path = scope["path"]
    if scope["query_string"] and path.startswith(("/v1/models", "/v2/models")):
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        known = ["model_version"] if path.startswith("/v2/models/") and "/versions/" not in path else []
        if [key for key, _ in query] not in ([], known):
            takes = f"takes {known[0]!r} once" if known else "takes none"
            raise InvalidRequest(f"{path[:100]} {takes} in its query, got {shown([key for key, _ in query])}")


def _headers(scope: _Scope) -> dict[str, str]:
    """The headers by name; a repeated header is joined as in HTTP, `gzip, identity`."""
    headers: dict[str, str] = {}
    for key, value in scope["headers"]:
        name, text = key.decode("latin-1"), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _inflated(body: bytes, encoding: str, limit: int) -> bytes:
    """Decompresses the body; like TF Serving, only gzip is supported."""
    encoding = encoding.strip().lower()
    if not body or encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise InvalidRequest(
            f"Content-Encoding {encoding[:40]!r} is not supported: send the body uncompressed or as gzip"
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
    """Forwards the response, notes its status and adds the request id."""

    def __init__(self, send: _Send, log: RequestLog) -> None:
        self._send, self._log = send, log
        self.status = 499  # the customary status for a client that disconnected

    async def __call__(self, message: _Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self._log.id.encode("latin-1", "replace")),
            ]
        await self._send(message)
