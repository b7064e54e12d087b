"""Selects the version that answers: watches a folder, loads new versions, and switches without downtime."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from components.serving.errors import Overloaded, unknown_version, without_paths
from components.serving.models.saved_model import ServedModel
from components.serving.models.warm_up import warm_up
from components.serving.settings import ServeSettings
from components.versions import store as pushed
from models.errors import PipelineError

State = Literal["LOADING", "AVAILABLE", "UNLOADING", "END"]
_log = logging.getLogger(__name__)
_HISTORY = 20  # number of states of unloaded versions to keep for the status


@dataclass(frozen=True)
class VersionState:
    """The state of a version as in TF Serving's GetModelStatus; `error` is empty if there is none."""

    version: int
    state: State
    error: str = ""


class ModelVersions:
    """The versions of one model under `<serving_dir>/<name>`; the newest one that loads is served.

    Args:
        on_load: called with (version, whether it was loaded), for the metrics.
    """

    def __init__(
        self,
        serving_dir: Path,
        name: str,
        settings: ServeSettings,
        on_load: Callable[[int, bool], None] = lambda version, loaded: None,
    ) -> None:
        self.name, self._serving_dir, self._settings, self._on_load = name, serving_dir, settings, on_load
        self._lock = threading.Condition()
        self._current: ServedModel | None = None
        self._users: dict[ServedModel, int] = {}  # loaded versions -> active requests
        self._failed: dict[int, _Stamp] = {}
        self._states: dict[int, VersionState] = {}
        self._stopping = threading.Event()
        self._garbage = threading.Event()  # a version was closed
        self._free = threading.Event()  # a request was rejected
        self._watcher = threading.Thread(target=self._watch, name="version-watcher", daemon=True)

    @property
    def current_version(self) -> int | None:
        """The version that answers requests; None until the first one is loaded."""
        current = self._current
        return current.version if current else None

    def states(self) -> list[VersionState]:
        """The states of all versions seen so far, newest first."""
        with self._lock:
            return [self._states[number] for number in sorted(self._states, reverse=True)]

    def give_back_soon(self) -> None:
        """Returns free memory to the system, because the next request does not need what a rejected one used."""
        self._free.set()

    def start(self) -> None:
        """Starts watching; the first version is loaded in the background."""
        self._watcher.start()

    def stop(self) -> None:
        """Stops watching and frees the models; no request may be active."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        with self._lock:
            models, self._users, self._current = list(self._users), {}, None
        for model in models:
            model.close()

    @contextlib.contextmanager
    def lease(self, version: int | None = None) -> Iterator[ServedModel]:
        """Keeps a model in memory inside the block: the current one, or a loaded `version`.

        Raises:
            UnknownModel: that version is not loaded.
            Overloaded: nothing is loaded yet.
        """
        with self._lock:
            model = self._find(version)
            self._users[model] += 1
        try:
            yield model
        finally:
            with self._lock:
                self._users[model] -= 1
                self._lock.notify_all()

    def _find(self, version: int | None) -> ServedModel:
        if version is None:
            if self._current is None:
                raise Overloaded(f"no version of {self.name} is ready yet")
            return self._current
        for model in self._users:
            if model.version == version:
                return model
        raise unknown_version(self.name, version)

    def _watch(self) -> None:
        while True:
            try:
                self._look()
            except (OSError, PipelineError) as error:  # the folder is temporarily unavailable
                _log.warning("%s: cannot be read: %s", self._serving_dir / self.name, error)
            except Exception:  # noqa: BLE001 - otherwise the thread ends and new versions go unnoticed
                _log.exception("%s: looking for versions failed", self._serving_dir / self.name)
            if self._stopping.wait(self._settings.poll_seconds):
                return
            if self._garbage.is_set():
                gc.collect()  # graphs have reference cycles, and nothing else here triggers a collection
            if self._garbage.is_set() or self._free.is_set():
                self._garbage.clear()
                self._free.clear()
                ctypes.CDLL(None).malloc_trim(
                    0
                )  # otherwise glibc keeps free pages: a third of the process after a few switches

    def _look(self) -> None:
        """Loads the newest version that loads, unless it is already the current one."""
        for candidate in reversed(pushed.versions(self._serving_dir, self.name)):
            if candidate.number == self.current_version:
                return
            stamp = _stamp(candidate.path)
            if self._stopping.is_set() or self._failed.get(candidate.number) == stamp:
                continue
            model = self._load(candidate.number, candidate.path)
            if model is not None:
                self._switch(model)
                self._on_load(candidate.number, True)
                return
            self._failed[candidate.number] = stamp

    def _load(self, number: int, path: Path) -> ServedModel | None:
        self._tell(number, "LOADING")
        started = time.perf_counter()
        model = None
        try:
            model = ServedModel(path, self.name, number, self._settings)
            warm_up(model, self._settings)
        except Exception as error:  # noqa: BLE001 - a damaged model raises any exception, and must not stop the server
            if model is not None:
                model.close()
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            _log.error("%s version %d does not load and is not served: %s", self.name, number, reason[:500])
            self._tell(number, "END", without_paths(reason, self._serving_dir)[:500])
            self._on_load(number, False)
            return None
        _log.info("%s version %d loaded in %.1f s", self.name, number, time.perf_counter() - started)
        return model

    def _switch(self, model: ServedModel) -> None:
        with self._lock:
            old, self._current = self._current, model
            self._users[model] = 0
            self._states[model.version] = VersionState(model.version, "AVAILABLE")
        if old is not None:
            self._tell(old.version, "UNLOADING")
            threading.Thread(
                target=self._retire, args=(old,), name=f"drain-{old.version}", daemon=True
            ).start()

    def _retire(self, model: ServedModel) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._users.get(model, 0) == 0)
            if self._users.pop(model, None) is None:
                return  # stop() has already closed it
        model.close()
        self._tell(model.version, "END")
        self._garbage.set()

    def _tell(self, number: int, state: State, error: str = "") -> None:
        with self._lock:
            self._states[number] = VersionState(number, state, error)
            over = [n for n in sorted(self._states) if self._states[n].state == "END"][:-_HISTORY]
            for old in over:
                del self._states[old]


_Stamp = tuple[int, int]


def _stamp(path: Path) -> _Stamp:
    """A stamp that changes when a version that did not load is repaired."""
    files = [file.stat() for file in path.rglob("*") if file.is_file()]
    return max((file.st_mtime_ns for file in files), default=0), sum(file.st_size for file in files)
