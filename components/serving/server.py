"""The server process: both ports, signals, and the way down."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from kserve import ModelRepository
from kserve.protocol.grpc.servicer import InferenceServicer
from prometheus_client import REGISTRY

from components.errors import PipelineError
from components.serving.grpc_server import make_grpc_server
from components.serving.kserve_model import FixedModels, KServeModel, ServingDataPlane
from components.serving.model_versions import ModelVersions
from components.serving.observation import Observer
from components.serving.predictor import Predictor
from components.serving.rest_server import ServingREST
from components.serving.settings import ServeSettings

_log = logging.getLogger(__name__)
Ready = Callable[[int, int], None]


def serve(
    serving_dir: Path, name: str, settings: ServeSettings, on_listening: Ready = lambda rest, grpc: None
) -> None:
    """Serves the newest version under `<serving_dir>/<name>` until SIGTERM or SIGINT.

    Listens at once; requests get 503 until the first version is loaded.

    Args:
      on_listening: told the REST and the gRPC port.

    Raises:
      PipelineError: a port cannot be listened on.
    """
    asyncio.run(_Server(serving_dir, name, settings).run(on_listening))


class _Server:
    def __init__(self, serving_dir: Path, name: str, settings: ServeSettings) -> None:
        self._settings = settings
        self._observer = Observer(REGISTRY)
        self._versions = ModelVersions(serving_dir, name, settings, self._observer.loaded)
        self._predictor = Predictor(self._versions, settings)
        self._observer.waiting.set_function(lambda: self._predictor.waiting)
        repository = ModelRepository()
        repository.update(KServeModel(name, self._predictor))
        self._plane = ServingDataPlane(repository)
        self._rest = ServingREST(self._plane, self._predictor, self._observer, settings)

    async def run(self, on_listening: Ready) -> None:
        """Until a signal comes."""
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        inference = InferenceServicer(self._plane, FixedModels(self._plane.model_registry))
        try:
            grpc_server, grpc_port = make_grpc_server(
                self._predictor, inference, self._observer, self._settings
            )
        except RuntimeError as error:
            raise PipelineError(
                f"gRPC port {self._settings.host}:{self._settings.grpc_port}: {error}"
            ) from error
        await grpc_server.start()
        rest = asyncio.create_task(self._rest_until_stopped())
        try:
            on_listening(await self._rest_port(rest), grpc_port)
            self._versions.start()
            await stopping.wait()
            _log.info("stopping: what was accepted is answered first")
            self._plane.draining = True
            self._rest.stop()
        finally:
            await asyncio.gather(rest, grpc_server.stop(self._settings.drain_seconds), return_exceptions=True)
            self._close()

    def _close(self) -> None:
        self._predictor.close()
        self._versions.stop()

    async def _rest_until_stopped(self) -> None:
        try:
            await self._rest.start()
        except SystemExit:  # how uvicorn says that it could not listen; it has logged why
            raise PipelineError(
                f"REST port {self._settings.host}:{self._settings.port} cannot be listened on; is it taken?"
            ) from None

    async def _rest_port(self, rest: asyncio.Task[None]) -> int:
        while (port := self._rest.port) is None:
            if rest.done():
                rest.result()
            await asyncio.sleep(0.02)
        return port


def configure_logging() -> None:
    """Messages on stderr, one line each; stdout is the access log's. KServe and uvicorn say only warnings."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    for name in ("kserve", "kserve.trace", "uvicorn", "uvicorn.error", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warning is that sessions are deprecated, which is what TF Serving runs.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
