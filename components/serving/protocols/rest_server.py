"""REST on one port: TF Serving's API under /v1, KServe's under /v2, metrics and probes."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from kserve.protocol.rest.server import RESTServer
from kserve.protocol.rest.v2_endpoints import V2Endpoints
from prometheus_client import exposition

from components.serving.decoding import decoded
from components.serving.errors import (
    InvalidRequest,
    Overloaded,
    UnknownModel,
    unknown_version,
    version_number,
)
from components.serving.models.kserve_model import FixedModels, ServingDataPlane
from components.serving.models.predictor import Predictor
from components.serving.models.saved_model import ServedModel
from components.serving.observation import Observer, note_answer
from components.serving.protocols import openapi
from components.serving.protocols.connection import LimitedConnection
from components.serving.protocols.rest_errors import JSON, add_error_handlers, error_response
from components.serving.protocols.rest_guard import Guard
from components.serving.protocols.rest_v2 import register_v2
from components.serving.protocols.tf_serving_json import answer, metadata, parse_predict
from components.serving.settings import ServeSettings


class ServingREST(RESTServer):
    """KServe's REST server, with TF Serving's endpoints instead of KServe's V1.

    KServe's V1 is TF Serving's predict call, so TF Serving's endpoints answer both kinds of client.
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
        self._tf_serving, self._observer = TFServingREST(predictor), observer
        app = FastAPI(title="Model server", openapi_url=None, responses=openapi.ERRORS)
        self._register_endpoints(app)
        described = openapi.document(app, predictor.versions.name)
        app.add_api_route("/openapi.json", lambda: described, methods=["GET"])
        add_error_handlers(app)
        self.config.app = Guard(app, observer, settings)
        self.config.host = settings.host
        self.config.access_log = False  # replaced by a JSON log
        self.config.http = functools.partial(
            LimitedConnection, settings=settings, on_refused=observer.refused
        )
        self.config.ws = "none"  # the limits do not apply to web sockets
        self._server = _Server(self.config)

    async def start(self, bound: socket.socket | None) -> None:
        """Serves until `stop`, on a socket that is already bound or on its own."""
        await self._server.serve(None if bound is None else [bound])

    def stop(self) -> None:
        """Accepts no new connections, answers accepted requests, and lets `start` return."""
        self._server.should_exit = True

    @property
    def port(self) -> int | None:
        """The port that the server listens on; None before it listens."""
        sockets = [s for server in getattr(self._server, "servers", []) for s in server.sockets]
        return int(sockets[0].getsockname()[1]) if sockets else None

    def _register_endpoints(self, app: FastAPI) -> None:
        app.add_api_route("/", self.dataplane.live, methods=["GET"])
        for path in ("/metrics", "/monitoring/prometheus/metrics"):  # the second is TF Serving's
            app.add_api_route(path, self._metrics, methods=["GET"], include_in_schema=False)
        self._tf_serving.register(app)
        register_v2(app, V2Endpoints(self.dataplane, self.model_repository_extension))

    async def _metrics(self, request: Request) -> Response:
        encode, content_type = exposition.choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._observer.shown()), headers={"content-type": content_type})


class _Server(uvicorn.Server):
    """Leaves signals to the process, which runs two servers."""

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
            app.add_api_route(
                model + ":predict",
                self.predict,
                methods=["POST"],
                response_model=None,
                responses=openapi.PREDICT_RESPONSES,
                openapi_extra=openapi.PREDICT_BODY,
            )
            app.add_api_route(model + ":{verb}", self.other, methods=["POST"], include_in_schema=False)
            app.add_api_route(model + "/metadata", self.metadata, methods=["GET"])
            app.add_api_route(model, self.status, methods=["GET"], response_model=None)
        labelled = "/v1/models/{name}/labels/{label:path}"
        app.add_api_route(labelled, self.label, methods=["GET", "POST"], include_in_schema=False)

    async def models(self) -> dict[str, list[str]]:
        """KServe's list of models; TF Serving has none."""
        return {"models": [self._predictor.versions.name]}

    async def label(self, name: str, label: str) -> None:
        """Rejects version labels, which TF Serving reads from its own config file."""
        self._number(name, None)
        raise InvalidRequest(f"version labels are not served, got {label.partition(':')[0][:40]!r}")

    async def other(self, verb: str, request: Request) -> None:
        """Rejects TF Serving's other calls, and unknown ones."""
        if verb in ("classify", "regress"):
            raise InvalidRequest(
                f"Expected {verb} signature method_name to be tensorflow/serving/{verb}. "
                "Was: tensorflow/serving/predict"
            )
        raise UnknownModel(f"Malformed request: POST {request.url.path}")

    async def predict(self, name: str, request: Request, version: str | None = None) -> Response:
        """Answers rows or columns of a signature's inputs."""
        number = self._number(name, version)
        body = await request.body()
        content = await self._predictor.answer(number, lambda model: _predict(model, body))
        return Response(content, media_type=JSON)

    async def metadata(self, name: str, version: str | None = None) -> dict[str, Any]:
        """The signatures in TF Serving's form."""
        with self._predictor.versions.lease(self._number(name, version)) as model:
            return metadata(model)

    async def status(self, name: str, version: str | None = None) -> Any:
        """TF Serving's status of the versions, with KServe's two keys if no version is named."""
        number = self._number(name, version)
        states = [state for state in self._predictor.versions.states() if number in (None, state.version)]
        if number is not None and not states:
            raise unknown_version(name, number)
        statuses = [
            {
                "version": str(state.version),
                "state": state.state,
                "status": {"error_code": "UNKNOWN" if state.error else "OK", "error_message": state.error},
            }
            for state in states
        ]
        if number is not None:
            return {"model_version_status": statuses}
        if self._predictor.versions.current_version is None:
            failed = "; ".join(f"version {state.version}: {state.error}" for state in states if state.error)
            error = Overloaded(f"no version of {name} is ready" + (f" ({failed})" if failed else ""))
            return error_response(error, model_version_status=statuses)
        return {"name": name, "ready": True, "model_version_status": statuses}

    def _number(self, name: str, version: str | None) -> int | None:
        if name != self._predictor.versions.name:
            raise unknown_version(name, version)
        return None if version is None else version_number(name, version)


def _predict(model: ServedModel, body: bytes) -> bytes:
    request = decoded(lambda: parse_predict(body, model))
    outputs = model.run(request.signature, request.tensors)
    note_answer(model.version, request.signature.name, request.tensors)
    return answer(model, request, outputs)
