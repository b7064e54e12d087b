"""KServe's V2 protocol over gRPC: KServe's servicer, and a version where one is named."""

from __future__ import annotations

from typing import Any

from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.servicer import InferenceServicer

from components.serving.errors import version_number
from components.serving.kserve_model import requested_version


class VersionedInference(InferenceServicer):
    """KServe's own hands the version of ModelInfer on, and that of the other calls it does not look at."""

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
        """Whether the model, or that version of it, is loaded; NOT_FOUND for another one."""
        if request.version:
            await self._metadata(request)
        return await super().ModelReady(request, context)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        """Inputs and outputs of the text signature."""
        return pb.ModelMetadataResponse(**await self._metadata(request))

    async def _metadata(self, request: pb.ModelReadyRequest | pb.ModelMetadataRequest) -> dict[str, Any]:
        requested_version.set(version_number(request.name, request.version) if request.version else None)
        found: dict[str, Any] = await self._data_plane.model_metadata(model_name=request.name)
        return found
