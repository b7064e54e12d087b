"""REST on one port: TF Serving's API under /v1, KServe's under /v2, metrics and probes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from kserve.errors import (
    InferenceError,
    InvalidInput,
    ModelNotFound,
    ModelNotReady,
    ServerNotLive,
    ServerNotReady,
)
from kserve.protocol.rest.server import RESTServer, metrics_handler
from kserve.protocol.rest.v2_datamodels import InferenceRequest, ModelMetadataResponse, ModelReadyResponse
from kserve.protocol.rest.v2_endpoints import V2Endpoints, register_v2_endpoints
from starlette.exceptions import HTTPException

from components.serving.connection import TimedConnection
from components.serving.errors import (
    InvalidRequest,
    Overloaded,
    RequestError,
    TooLarge,
    TooSlow,
    UnknownModel,
    unknown_version,
)
from components.serving.kserve_model import FixedModels, ServingDataPlane, requested_version
from components.serving.observation import Observer, RequestLog, note, note_answer
from components.serving.predictor import Predictor
from components.serving.saved_model import ServedModel
from components.serving.settings import ServeSettings
from components.serving.tf_serving_json import answer, metadata, parse_predict

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_JSON = "application/json"
# Of a body over the limit, so much is read and dropped: a client that is still sending when the connection
# is closed does not get to read why.
_LINGER_BYTES = 64 << 20
_log = logging.getLogger(__name__)


class ServingREST(RESTServer):
    """KServe's REST server, with TF Serving's endpoints in the place of KServe's V1.

    KServe's V1 is TF Serving's predict call; TF Serving's own endpoints answer both kinds of client.
    """

    def __init__(
        self,
        data_plane: ServingDataPlane,
        predictor: Predictor,
        observer: Observer,
        settings: ServeSettings,
    ) -> None:
        super().__init__(
            "",
            data_plane,
            FixedModels(data_plane.model_registry),
            settings.port,
            grace_period=int(settings.drain_seconds),
        )
        self._tf_serving = TFServingREST(predictor)
        app = FastAPI(title="Model server", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
        self._register_endpoints(app)
        self._add_exception_handlers(app)
        self.config.app = _Guard(app, observer, settings)
        self.config.host = settings.host
        self.config.access_log = False  # ours is JSON
        self.config.http = functools.partial(TimedConnection, read_seconds=settings.read_seconds)
        self._server = _Server(self.config)

    async def start(self) -> None:
        """Serves until `stop`."""
        await self._server.serve()

    def stop(self) -> None:
        """Takes no new connection, answers what was accepted, and lets `start` return."""
        self._server.should_exit = True

    @property
    def port(self) -> int | None:
        """The port that is listened on; None before that."""
        sockets = [s for server in getattr(self._server, "servers", []) for s in server.sockets]
        return int(sockets[0].getsockname()[1]) if sockets else None

    def _register_endpoints(self, app: FastAPI) -> None:
        app.add_api_route("/", self.dataplane.live, methods=["GET"])
        for path in ("/metrics", "/monitoring/prometheus/metrics"):  # the second is TF Serving's
            app.add_api_route(path, metrics_handler, methods=["GET"], include_in_schema=False)
        self._tf_serving.register(app)
        _register_v2_versions(app, V2Endpoints(self.dataplane, self.model_repository_extension))
        register_v2_endpoints(app, self.dataplane, self.model_repository_extension)

    def _add_exception_handlers(self, app: FastAPI) -> None:
        not_yet = (ModelNotReady, ServerNotReady, ServerNotLive)
        for kind in (RequestError, InvalidInput, InferenceError, ModelNotFound, *not_yet):
            app.add_exception_handler(kind, _on_error)
        app.add_exception_handler(RequestValidationError, _on_error)
        app.add_exception_handler(HTTPException, _on_error)
        app.add_exception_handler(Exception, _on_error)


class _Server(uvicorn.Server):
    """Leaves signals to the process that runs two servers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class TFServingREST:
    """TF Serving's REST API: predict, status, metadata."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def register(self, app: FastAPI) -> None:
        """Adds the routes."""
        app.add_api_route("/v1/models", self.models, methods=["GET"])
        for model in ("/v1/models/{name}/versions/{version}", "/v1/models/{name}"):
            app.add_api_route(model + ":{verb}", self.call, methods=["POST"], response_model=None)
            app.add_api_route(model + "/metadata", self.metadata, methods=["GET"])
            app.add_api_route(model, self.status, methods=["GET"])

    async def models(self) -> dict[str, list[str]]:
        """KServe's list of models; TF Serving has none."""
        return {"models": [self._predictor.versions.name]}

    async def call(self, name: str, verb: str, request: Request, version: str | None = None) -> Response:
        """`:predict`."""
        if verb in ("classify", "regress"):
            raise InvalidRequest(
                f"Expected {verb} signature method_name to be tensorflow/serving/{verb}. "
                "Was: tensorflow/serving/predict"
            )
        if verb != "predict":
            raise UnknownModel(f"Malformed request: POST {request.url.path}")
        number = self._number(name, version)
        body = await request.body()
        content = await self._predictor.answer(number, lambda model: _predict(model, body))
        return Response(content, media_type=_JSON)

    async def metadata(self, name: str, version: str | None = None) -> dict[str, Any]:
        """The signatures, as TF Serving tells them."""
        with self._predictor.versions.lease(self._number(name, version)) as model:
            return metadata(model)

    async def status(self, name: str, version: str | None = None) -> dict[str, Any]:
        """TF Serving's status of the versions; with KServe's two keys when no version is named."""
        number = self._number(name, version)
        told = [state for state in self._predictor.versions.states() if number in (None, state.version)]
        if number is not None and not told:
            raise unknown_version(name, number)
        statuses = [
            {
                "version": str(state.version),
                "state": state.state,
                "status": {"error_code": "UNKNOWN" if state.error else "OK", "error_message": state.error},
            }
            for state in told
        ]
        if number is not None:
            return {"model_version_status": statuses}
        if self._predictor.versions.current_version is None:
            failed = "; ".join(f"version {state.version}: {state.error}" for state in told if state.error)
            raise Overloaded(f"no version of {name} is ready" + (f" ({failed})" if failed else ""))
        return {"name": name, "ready": True, "model_version_status": statuses}

    def _number(self, name: str, version: str | None) -> int | None:
        if name != self._predictor.versions.name:
            raise unknown_version(name, version)
        return None if version is None else _version_number(name, version)


def _version_number(name: str, version: str) -> int:
    if not (version.isascii() and version.isdigit() and len(version) < 19):
        raise unknown_version(name, version[:40])
    return int(version)


def _predict(model: ServedModel, body: bytes) -> bytes:
    request = parse_predict(body, model)
    outputs = model.run(request.signature, request.tensors)
    note_answer(model.version, request.signature.name, request.tensors)
    return answer(model, request, outputs)


def _register_v2_versions(app: FastAPI, endpoints: V2Endpoints) -> None:
    """KServe's V2 handlers answer 501 to a version in the path: these hand it on to the model."""

    async def model_metadata(model_name: str, model_version: str) -> ModelMetadataResponse:
        requested_version.set(_version_number(model_name, model_version))
        return await endpoints.model_metadata(model_name)

    async def model_ready(model_name: str, model_version: str) -> ModelReadyResponse:
        requested_version.set(_version_number(model_name, model_version))
        await endpoints.model_metadata(model_name)  # raises when that version is not loaded
        return await endpoints.model_ready(model_name)

    async def infer(
        raw_request: Request,
        raw_response: Response,
        model_name: str,
        model_version: str,
        request_body: InferenceRequest | bytes,
    ) -> Any:
        requested_version.set(_version_number(model_name, model_version))
        return await endpoints.infer(raw_request, raw_response, model_name, request_body)

    base = "/v2/models/{model_name}/versions/{model_version}"
    app.add_api_route(base + "/infer", infer, methods=["POST"], response_model=None)
    app.add_api_route(base, model_metadata, methods=["GET"])
    app.add_api_route(base + "/ready", model_ready, methods=["GET"])


class _Guard:
    """Around the whole application: limits of the body, log and metrics, the request's id.

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
                await self._app(scope, _replay(body, receive), watched)
        except RequestError as error:
            await _on_error_response(error, close=True)(scope, receive, watched)
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


async def _on_error(request: Request, error: Exception) -> Response:
    return _on_error_response(error)


def _on_error_response(error: Exception, close: bool = False) -> Response:
    """TF Serving's error body, `{"error": "..."}`, for whatever was raised."""
    status, message, headers = _told(error)
    note(error=message[:300])
    if close:
        headers["Connection"] = "close"
    return Response(orjson.dumps({"error": message}), status, headers, media_type=_JSON)


def _told(error: Exception) -> tuple[int, str, dict[str, str]]:
    """(HTTP status, message, headers)."""
    if isinstance(error, RequestError):
        retry = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return error.status, _printable(str(error)), retry
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return 400, _printable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}"), {}
    if isinstance(error, HTTPException):
        return error.status_code, _printable(str(error.detail)), dict(error.headers or {})
    if isinstance(error, ModelNotFound):
        return 404, _printable(str(error)), {}
    if isinstance(error, ModelNotReady | ServerNotReady | ServerNotLive):
        return 503, _printable(str(error)), {"Retry-After": "1"}
    if isinstance(error, InvalidInput | InferenceError):
        return 400, _printable(str(error)), {}
    _log.error("a request failed", exc_info=error)
    return 500, "internal error; see the server's log", {}


def _printable(text: str) -> str:
    """Half a surrogate pair, which JSON can carry, is no UTF-8."""
    return text.encode("utf-8", "replace").decode()
