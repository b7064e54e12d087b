"""Error responses of the REST port, in TF Serving's form: `{"error": "..."}`."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from kserve.errors import (
    ModelNotFound,
    ModelNotReady,
    ServerNotLive,
    ServerNotReady,
)
from starlette.exceptions import HTTPException

from components.serving.errors import RequestError, message_of
from components.serving.observation import note

JSON = "application/json"
_log = logging.getLogger(__name__)


def add_error_handlers(app: FastAPI) -> None:
    """Converts all exceptions of the handlers to error responses."""
    not_yet = (ModelNotReady, ServerNotReady, ServerNotLive)
    of_clients = (RequestError, ModelNotFound, RequestValidationError)
    for kind in (*of_clients, *not_yet, HTTPException, Exception):
        app.add_exception_handler(kind, _on_error)


async def _on_error(request: Request, error: Exception) -> Response:
    return error_response(error)


def error_response(error: Exception, close: bool = False, **more: Any) -> Response:
    """TF Serving's error body, `{"error": "..."}`, for any exception; `more` adds keys to it."""
    status, message, headers = _status(error)
    note(error=message[:300])
    if close:
        headers["Connection"] = "close"
    return Response(orjson.dumps({"error": message, **more}), status, headers, media_type=JSON)


def _status(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Returns (HTTP status, message, headers)."""
    if isinstance(error, RequestError):
        retry = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return error.status, message_of(error), retry
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return 400, message_of(f"{'.'.join(map(str, first['loc']))}: {first['msg']}"), {}
    if isinstance(error, HTTPException):
        return error.status_code, message_of(error.detail), dict(error.headers or {})
    if isinstance(error, ModelNotFound):
        return 404, message_of(error), {}
    if isinstance(error, ModelNotReady | ServerNotReady | ServerNotLive):
        return 503, message_of(error), {"Retry-After": "1"}
    _log.error("a request failed", exc_info=error)
    return 500, "internal error; see the server's log", {}
