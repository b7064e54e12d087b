"""The model as KServe's data plane sees it, for the V2 protocol."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any, TypeVar

from kserve import Model, ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.utils.numpy_codec import from_np_dtype

from components.serving.board import Board
from components.serving.errors import Refused
from components.serving.models.predictor import Predictor
from components.serving.models.saved_model import ServedModel

T = TypeVar("T")

# The version that a request names outside its body, which KServe's handlers do not support.
requested_version: contextvars.ContextVar[int | None] = contextvars.ContextVar("version", default=None)


class KServeModel(Model):
    """The served model under its name, whichever version answers."""

    def __init__(self, name: str, predictor: Predictor) -> None:
        super().__init__(name)
        self._predictor = predictor
        self.ready = True  # healthy() decides instead

    async def healthy(self) -> bool:
        """Whether a version is loaded."""
        return self._predictor.versions.current_version is not None

    def load(self) -> bool:
        """Does nothing, because the watcher loads versions; KServe calls it if a request finds no version."""
        return False

    async def get_input_types(self) -> list[dict[str, Any]]:
        """Inputs of the text signature."""
        return await self._types("inputs")

    async def get_output_types(self) -> list[dict[str, Any]]:
        """Outputs of the text signature."""
        return await self._types("outputs")

    def version(self) -> str:
        """The requested version, or else the current one."""
        with self._predictor.versions.lease(requested_version.get()) as model:
            return str(model.version)

    async def predict(
        self,
        payload: Callable[[ServedModel], T],
        headers: dict[str, str] | None = None,
        response_headers: Any = None,
    ) -> T:
        """Answers `infer` over REST and gRPC: `payload` reads and answers the request in its own protocol.

        KServe's own decoding does not check what a tensor declares before it decodes it.
        """
        return await self._predictor.answer(requested_version.get(), payload)

    async def _types(self, which: str) -> list[dict[str, Any]]:
        with self._predictor.versions.lease(requested_version.get()) as model:
            specs = getattr(model.signature(""), which).values()
            return [
                {
                    "name": spec.key,
                    "datatype": from_np_dtype(spec.dtype),
                    "shape": [-1 if size is None else size for size in spec.shape],
                }
                for spec in specs
            ]


class FixedModels(ModelRepositoryExtension):
    """Lets no client load or unload models."""

    async def load(self, model_name: str) -> None:
        """Refuses."""
        raise Refused("models are loaded from the serving folder, not by a request")

    async def unload(self, model_name: str) -> None:
        """Refuses."""
        raise Refused("models are unloaded when a newer version is pushed, not by a request")


class ServingDataPlane(DataPlane):
    """KServe's data plane, with an accurate readiness check."""

    def __init__(self, repository: ModelRepository, board: Board | None) -> None:
        super().__init__(model_registry=repository)
        self._board = board
        self.draining = False

    async def ready(self) -> bool:
        """Whether every worker has loaded a version and the server is not stopping."""
        if self.draining or not (self._board is None or self._board.is_ready()):
            return False
        models = self.model_registry.get_models()
        return all([await model.healthy() for model in models.values()])

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        """As KServe's, with the current version."""
        metadata: dict[str, Any] = await super().model_metadata(model_name)
        model = await self.get_model(model_name)
        return metadata | ({"versions": [model.version()]} if isinstance(model, KServeModel) else {})
