"""Several server processes behind one REST and one gRPC port, and the process that supervises them.

Each worker is a complete server, with its own event loop, queue and model. All workers accept REST connections from
one shared socket; gRPC cannot use an existing socket, so the kernel distributes its connections over the workers
(SO_REUSEPORT). The supervisor computes nothing and does not import TensorFlow.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.multiprocess import mark_process_dead

from components.serving.board import Place, State, make_board
from components.serving.child import child_command, child_environment
from components.serving.settings import ServeSettings
from models.errors import PipelineError

_LOOK_SECONDS = 0.1  # interval of the checks of the workers
_STOP_SECONDS = 10.0  # time in addition to drain_seconds for a worker to free its model
_MAX_FAILED_STARTS = 3  # in a row, of one worker
_log = logging.getLogger(__name__)


class Ports(NamedTuple):
    """Sockets held for all workers: the shared one for REST, and one that reserves the port for gRPC.

    Neither listens here: a connection that no worker accepts yet is refused, as with a single process.
    """

    rest: socket.socket
    grpc: socket.socket


def serve_with_workers(
    serving_dir: Path,
    name: str,
    settings: ServeSettings,
    on_listening: Callable[[int, int], None],
    on_ready: Callable[[], None],
) -> None:
    """Serves with `settings.workers` processes until SIGTERM or SIGINT; a worker that ends is replaced.

    Args:
        on_listening: called with the REST and the gRPC port when every worker accepts requests.
        on_ready: called once, when every worker has loaded a version.

    Raises:
        PipelineError: a port is in use, or a worker cannot be started.
    """
    with (
        _taken(settings) as ports,
        tempfile.TemporaryDirectory(prefix="serving-metrics-") as metrics,
    ):
        _Supervisor(serving_dir, name, settings, ports, metrics).run(on_listening, on_ready)


class _Supervisor:
    def __init__(
        self, serving_dir: Path, name: str, settings: ServeSettings, ports: Ports, metrics: str
    ) -> None:
        self._serving_dir, self._name, self._ports, self._metrics = serving_dir, name, ports, metrics
        self._settings = settings.model_copy(update={"grpc_port": _port(ports.grpc)})
        self._board = make_board(settings.workers)
        self._workers: list[subprocess.Popen[bytes]] = []
        self._failed_starts = [0] * settings.workers
        self._stopping = False

    def run(self, on_listening: Callable[[int, int], None], on_ready: Callable[[], None]) -> None:
        """Supervises until a signal arrives."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            for worker in range(self._settings.workers):
                self._workers.append(self._start(worker))
            if self._wait_until_listening():
                on_listening(_port(self._ports.rest), _port(self._ports.grpc))
            announced = False
            while not self._stopping:
                if not announced and self._board.is_ready():
                    announced = True
                    on_ready()
                self._replace_ended()
                time.sleep(_LOOK_SECONDS)
            _log.info("stopping; accepted requests are answered first")
        finally:
            self._stop()

    def _on_signal(self, number: int, frame: Any) -> None:
        self._stopping = True

    def _start(self, worker: int) -> subprocess.Popen[bytes]:
        place = Place(worker, self._ports.rest.fileno(), self._board.descriptor, self._metrics)
        return subprocess.Popen(
            child_command(self._serving_dir, self._name, self._settings, place),
            stdin=subprocess.PIPE,  # closes when this process ends, which stops the worker
            pass_fds=(place.rest, place.board),
            env=child_environment() | {"PROMETHEUS_MULTIPROC_DIR": self._metrics},
        )

    def _wait_until_listening(self) -> bool:
        """Returns False if a signal arrived first."""
        while not self._stopping and State.STARTING in self._board.states():
            for worker, process in enumerate(self._workers):
                if process.poll() is not None:
                    raise PipelineError(
                        f"worker {worker} {_end(process)} before it accepted a request; its own messages say why"
                    )
            time.sleep(_LOOK_SECONDS)
        return not self._stopping

    def _replace_ended(self) -> None:
        for worker, process in enumerate(self._workers):
            if process.poll() is None:
                continue
            self._note_end(worker, process)
            self._workers[worker] = self._start(worker)

    def _note_end(self, worker: int, process: subprocess.Popen[bytes]) -> None:
        took_requests = self._board[worker] is not State.AWAY
        self._board[worker] = State.AWAY
        mark_process_dead(process.pid, self._metrics)
        _close_input(process)
        self._failed_starts[worker] = 0 if took_requests else self._failed_starts[worker] + 1
        if self._failed_starts[worker] == _MAX_FAILED_STARTS:
            raise PipelineError(
                f"worker {worker} {_end(process)} before it accepted a request, {_MAX_FAILED_STARTS} times in a row"
            )
        _log.error("worker %d (process %d) %s; it is started again", worker, process.pid, _end(process))

    def _stop(self) -> None:
        self._ports.rest.close()  # connections are refused once the last worker has also closed it
        for process in self._workers:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + self._settings.drain_seconds + _STOP_SECONDS
        for worker, process in enumerate(self._workers):
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _log.error("worker %d (process %d) does not stop and is killed", worker, process.pid)
                process.kill()
                process.wait()
            _close_input(process)


def _close_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def _end(process: subprocess.Popen[bytes]) -> str:
    """`ended with SIGKILL`, `ended with exit code 1`."""
    code = process.returncode
    return f"ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


@contextlib.contextmanager
def _taken(settings: ServeSettings) -> Iterator[Ports]:
    with contextlib.ExitStack() as stack:
        rest = stack.enter_context(_bind("REST", settings.host, settings.port, shared=False))
        if settings.grpc_port:  # a shared port could also be shared with the workers of another server
            _bind("gRPC", settings.host, settings.grpc_port, shared=False).close()
        yield Ports(rest, stack.enter_context(_bind("gRPC", settings.host, settings.grpc_port, shared=True)))


def _bind(protocol: str, host: str, port: int, shared: bool) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError as error:
        raise PipelineError(f"{protocol} port {host}:{port} cannot be listened on: {error}") from error
    return bound


def _port(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])
