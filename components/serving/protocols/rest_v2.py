"""KServe's V2 REST API: KServe's handlers, with support for versions.

KServe's own routes answer 501 to a version in the path and 500 to one in the query.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from kserve.protocol.rest.v2_datamodels import (
    ListModelsResponse,
    ModelMetadataResponse,
    ModelReadyResponse,
    ServerLiveResponse,
    ServerMetadataResponse,
    ServerReadyResponse,
)
from kserve.protocol.rest.v2_endpoints import V2Endpoints

from components.serving.errors import InvalidRequest, shown, version_number
from components.serving.models.kserve_model import requested_version
from components.serving.protocols.openapi import BINARY, INFER_BODY, INFER_RESPONSES
from components.serving.protocols.rest_errors import JSON
from components.serving.protocols.v2_json import JsonAnswer, answer

_JSON_BYTES = "Inference-Header-Content-Length"


def register_v2(app: FastAPI, endpoints: V2Endpoints) -> None:
    """Adds the routes under /v2."""
    app.add_api_route("/v2", endpoints.metadata, response_model=ServerMetadataResponse)
    app.add_api_route("/v2/health/live", endpoints.live, response_model=ServerLiveResponse)
    app.add_api_route("/v2/health/ready", endpoints.ready, response_model=ServerReadyResponse)
    app.add_api_route("/v2/models", endpoints.models, response_model=ListModelsResponse)
    for verb, refuse in (("load", endpoints.load), ("unload", endpoints.unload)):
        app.add_api_route("/v2/repository/models/{model_name}/" + verb, refuse, methods=["POST"])
    handlers = _VersionedModels(endpoints)
    for base in ("/v2/models/{model_name}/versions/{model_version}", "/v2/models/{model_name}"):
        app.add_api_route(base, handlers.metadata)
        app.add_api_route(base + "/ready", handlers.ready)
        app.add_api_route(
            base + "/infer",
            handlers.infer,
            methods=["POST"],
            response_model=None,
            responses=INFER_RESPONSES,
            openapi_extra=INFER_BODY,
        )


class _VersionedModels:
    """Passes the version to the model, bypassing KServe's handlers, which do not support it."""

    def __init__(self, endpoints: V2Endpoints) -> None:
        self._endpoints = endpoints

    async def metadata(self, model_name: str, model_version: str | None = None) -> ModelMetadataResponse:
        """Inputs and outputs of the text signature."""
        self._request(model_name, model_version)
        return await self._endpoints.model_metadata(model_name)

    async def ready(self, model_name: str, model_version: str | None = None) -> ModelReadyResponse:
        """Whether the model, or the given version of it, is loaded."""
        self._request(model_name, model_version)
        if model_version is not None:
            await self._endpoints.model_metadata(model_name)  # raises if it is not loaded
        return await self._endpoints.model_ready(model_name)

    async def infer(self, request: Request, model_name: str, model_version: str | None = None) -> Response:
        """Answers tensors with tensors."""
        self._request(model_name, model_version)
        sent = request.headers.getlist(_JSON_BYTES)
        if len(sent) > 1:
            raise InvalidRequest(f"the header {_JSON_BYTES} must be sent once, got {shown(sent)}")
        body = await request.body()
        found: JsonAnswer
        found, _ = await self._endpoints.dataplane.infer(
            model_name=model_name,
            request=lambda model: answer(model, body, sent[0] if sent else None),
            headers=dict(request.headers),
        )
        if found.json_bytes is None:
            return Response(found.body, media_type=JSON)
        return Response(found.body, media_type=BINARY, headers={_JSON_BYTES: str(found.json_bytes)})

    def _request(self, name: str, version: str | None) -> None:
        # Always set, because a pipelined request runs in a copy of the previous one's context.
        requested_version.set(None if version is None else version_number(name, version))
