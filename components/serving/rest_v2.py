"""KServe's V2 REST API: KServe's handlers, and a version where one is named.

KServe's own routes answer 501 to a version in the path and 500 to one in the query.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from kserve.protocol.rest.v2_datamodels import (
    InferenceRequest,
    ListModelsResponse,
    ModelMetadataResponse,
    ModelReadyResponse,
    ServerLiveResponse,
    ServerMetadataResponse,
    ServerReadyResponse,
)
from kserve.protocol.rest.v2_endpoints import V2Endpoints

from components.serving.errors import version_number
from components.serving.kserve_model import requested_version
from components.serving.openapi import INFER_RESPONSES


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
        )


class _VersionedModels:
    """Hands the version on to the model, past KServe's handlers, which know of none."""

    def __init__(self, endpoints: V2Endpoints) -> None:
        self._endpoints = endpoints

    async def metadata(self, model_name: str, model_version: str | None = None) -> ModelMetadataResponse:
        """Inputs and outputs of the text signature."""
        self._request(model_name, model_version)
        return await self._endpoints.model_metadata(model_name)

    async def ready(self, model_name: str, model_version: str | None = None) -> ModelReadyResponse:
        """Whether the model, or that version of it, is loaded."""
        self._request(model_name, model_version)
        if model_version is not None:
            await self._endpoints.model_metadata(model_name)  # raises when it is not loaded
        return await self._endpoints.model_ready(model_name)

    async def infer(
        self,
        raw_request: Request,
        raw_response: Response,
        model_name: str,
        request_body: InferenceRequest | bytes,
        model_version: str | None = None,
    ) -> Any:
        """Answers tensors with tensors."""
        self._request(model_name, model_version)
        return await self._endpoints.infer(raw_request, raw_response, model_name, request_body)

    def _request(self, name: str, version: str | None) -> None:
        # Always: a request that was pipelined behind another one runs in a copy of its context.
        requested_version.set(None if version is None else version_number(name, version))
