"""Admits or rejects requests of all protocols and answers them on threads."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from components.serving.decoding import forgetful
from components.serving.errors import Overloaded, RequestError
from components.serving.models.model_versions import ModelVersions
from components.serving.models.saved_model import ServedModel
from components.serving.settings import ServeSettings

T = TypeVar("T")


class Predictor:
    """Answers with the current version, or with the requested one.

    A request waits in TensorFlow's batcher on its own thread, because the batcher blocks its caller, so
    there are as many threads as requests that may wait. Used from one event loop.

    Args:
        on_waiting: called with the number of active and waiting requests, for the metrics.
    """

    def __init__(
        self,
        versions: ModelVersions,
        settings: ServeSettings,
        on_waiting: Callable[[int], None] = lambda waiting: None,
    ) -> None:
        self.versions, self._on_waiting = versions, on_waiting
        self._limit = settings.max_waiting
        self._waiting = 0
        self._threads = ThreadPoolExecutor(settings.max_waiting, thread_name_prefix="request")

    async def answer(self, version: int | None, work: Callable[[ServedModel], T]) -> T:
        """Runs `work` with the model.

        Raises:
            Overloaded: too many requests are waiting, or no version is ready.
            RequestError: the version is not served, or `work` raised it.
        """
        try:
            return await self._start(version, work)
        except RequestError as error:
            raise forgetful(error) from None

    def _start(self, version: int | None, work: Callable[[ServedModel], T]) -> asyncio.Future[T]:
        if self._waiting >= self._limit:
            raise Overloaded(f"{self._limit} requests are already waiting; try again")
        self._count(+1)
        # In the request's context, so that `work` can add to its log line.
        run = contextvars.copy_context().run
        future = asyncio.get_running_loop().run_in_executor(self._threads, run, self._work, version, work)
        # Counts until its thread is free, even if the client gives up earlier.
        future.add_done_callback(self._done)
        return asyncio.shield(future)

    def close(self) -> None:
        """Waits for the active requests."""
        self._threads.shutdown(wait=True)

    def _count(self, change: int) -> None:
        self._waiting += change
        self._on_waiting(self._waiting)

    def _work(self, version: int | None, work: Callable[[ServedModel], T]) -> T:
        with self.versions.lease(version) as model:
            return work(model)

    def _done(self, future: asyncio.Future[T]) -> None:
        self._count(-1)
        if not future.cancelled():
            future.exception()  # retrieved, so that asyncio does not warn if the client is gone
