"""The server process: both ports, signals and shutdown."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from pathlib import Path

from kserve import ModelRepository
from prometheus_client import REGISTRY

from components.serving.board import Board, Place, State
from components.serving.callbacks import Listening, Ready
from components.serving.models.kserve_model import FixedModels, KServeModel, ServingDataPlane
from components.serving.models.model_versions import ModelVersions
from components.serving.models.predictor import Predictor
from components.serving.observation import Observer
from components.serving.protocols.grpc_server import make_grpc_server
from components.serving.protocols.grpc_v2 import VersionedInference
from components.serving.protocols.rest_server import ServingREST
from components.serving.settings import ServeSettings
from models.errors import PipelineError

_LOOK_SECONDS = 0.02  # interval for checking the state of other threads and processes
_log = logging.getLogger(__name__)


def serve_here(
    serving_dir: Path,
    name: str,
    settings: ServeSettings,
    on_listening: Listening,
    on_ready: Ready,
    place: Place | None,
) -> None:
    """Serves in this process; see `components.serving.start.serve`."""
    asyncio.run(_Server(serving_dir, name, settings, place).run(on_listening, on_ready))


class _Server:
    def __init__(self, serving_dir: Path, name: str, settings: ServeSettings, place: Place | None) -> None:
        self._settings, self._place = settings, place
        self._board = None if place is None else Board(place.board)
        self._observer = Observer(REGISTRY, place)
        self._versions = ModelVersions(serving_dir, name, settings, self._observer.loaded)
        self._observer.on_refusal = self._versions.give_back_soon
        self._predictor = Predictor(self._versions, settings, self._observer.waiting.set)
        repository = ModelRepository()
        repository.update(KServeModel(name, self._predictor))
        self._plane = ServingDataPlane(repository, self._board)
        self._rest = ServingREST(self._plane, self._predictor, self._observer, settings)
        self._stopping = asyncio.Event()

    async def run(self, on_listening: Listening, on_ready: Ready) -> None:
        """Serves until a signal arrives."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)
        self._versions.start()
        try:
            await self._wait_while_others_answer()
            await self._answer(on_listening, on_ready)
        finally:
            self._predictor.close()
            self._versions.stop()

    async def _wait_while_others_answer(self) -> None:
        """Delays a replacement worker until it can answer, if other workers can."""
        while (
            self._board is not None
            and State.READY in self._board.states()
            and self._versions.current_version is None
            and not self._stopping.is_set()
        ):
            await asyncio.sleep(_LOOK_SECONDS)

    async def _answer(self, on_listening: Listening, on_ready: Ready) -> None:
        inference = VersionedInference(self._plane, FixedModels(self._plane.model_registry))
        try:
            grpc_server, grpc_port = make_grpc_server(
                self._predictor, inference, self._observer, self._settings, shared=self._place is not None
            )
        except RuntimeError as error:
            raise PipelineError(
                f"gRPC port {self._settings.host}:{self._settings.grpc_port}: {error}"
            ) from error
        await grpc_server.start()
        rest = asyncio.create_task(self._rest_until_stopped())
        try:
            on_listening(await self._rest_port(rest), grpc_port)
            telling = asyncio.create_task(self._tell_when_ready(on_ready))
            await self._stopping.wait()
            telling.cancel()
            _log.info("stopping; accepted requests are answered first")
            self._plane.draining = True
            self._rest.stop()
        finally:
            await asyncio.gather(rest, grpc_server.stop(self._settings.drain_seconds), return_exceptions=True)

    async def _tell_when_ready(self, on_ready: Ready) -> None:
        while self._versions.current_version is None:
            self._show(State.LISTENING)
            await asyncio.sleep(_LOOK_SECONDS)
        self._show(State.READY)
        on_ready()

    def _show(self, state: State) -> None:
        """Shows the state to the other workers, if there are any."""
        if self._board is not None and self._place is not None:
            self._board[self._place.worker] = state

    async def _rest_until_stopped(self) -> None:
        shared = None if self._place is None else socket.socket(fileno=self._place.rest)
        try:
            await self._rest.start(shared)
        # SystemExit is how uvicorn says that it could not listen; it has logged why.
        except (SystemExit, OSError):
            raise PipelineError(
                f"REST port {self._settings.host}:{self._settings.port} cannot be listened on; is it in use?"
            ) from None

    async def _rest_port(self, rest: asyncio.Task[None]) -> int:
        while (port := self._rest.port) is None:
            if rest.done():
                rest.result()
            await asyncio.sleep(_LOOK_SECONDS)
        return port
