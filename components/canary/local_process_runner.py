"""Runs the model server as a child process, for an InfraValidator without containers."""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
import time
from pathlib import Path

from tfx.components.infra_validator import error_types
from tfx.components.infra_validator.model_server_runners import base_runner

from components.serving.child import child_command, child_environment
from components.serving.settings import ServeSettings

MODEL_NAME = "canary"
MODEL_VERSION = 1
# Only this process may reach the server, and a single worker makes its memory measurable.
_ALONE = {"host": "127.0.0.1", "port": 0, "grpc_port": 0, "workers": 1, "poll_seconds": 0.1}


class LocalProcessRunner(base_runner.BaseModelServerRunner):
    """Serves one SavedModel as version 1 of the model "canary", on free ports of 127.0.0.1.

    The server ends with `Stop()` or when its stdin closes, which happens however this process ends.

    Args:
        model_dir: SavedModel folder, which is read in place.
        settings: limits of the server; the runner overrides its addresses and number of workers.
    """

    def __init__(self, model_dir: Path, settings: ServeSettings) -> None:
        self._model_dir, self._settings = model_dir, settings.model_copy(update=_ALONE)
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: dict[str, int] | None = None

    def __repr__(self) -> str:
        return f"LocalProcessRunner({str(self._model_dir)!r})"

    def Start(self) -> None:
        """Starts the process; see `WaitUntilRunning`."""
        assert self._process is None, "a runner starts one server, once"
        self._home = tempfile.TemporaryDirectory(prefix="canary-")
        folder = Path(self._home.name)
        (folder / MODEL_NAME).mkdir()
        version = folder / MODEL_NAME / str(MODEL_VERSION)
        version.symlink_to(self._model_dir.absolute(), target_is_directory=True)
        command = child_command(folder, MODEL_NAME, self._settings)
        with self._file("out").open("wb") as out, self._file("errors").open("wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=errors, env=child_environment()
            )

    def WaitUntilRunning(self, deadline: float) -> None:
        """Returns when the server listens, at the latest at `deadline` (seconds since 1970, UTC).

        Raises:
            JobAborted: the server has ended; the message is its last line.
            DeadlineExceeded: the server does not listen in time.
        """
        while time.time() < deadline:
            self.check_running()
            first, newline, _ = self._file("out").read_text(encoding="utf-8").partition("\n")
            if newline:
                self._ports = json.loads(first)
                return
            time.sleep(0.05)
        raise error_types.DeadlineExceeded("the server does not listen")

    @property
    def precision(self) -> str:
        """`serve.precision` of this server."""
        return self._settings.precision

    def check_running(self) -> None:
        """Raises JobAborted with the server's last line if it has ended."""
        assert self._process is not None, "call Start() first"
        if self._process.poll() is not None:
            lines = [line for line in (self.GetLogs() or "").splitlines() if line]
            last_line = lines[-1][-300:] if lines else f"exit code {self._process.returncode}"
            raise error_types.JobAborted(last_line)

    def GetEndpoint(self) -> str:
        """The gRPC address, `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._port('grpc')}"

    @property
    def rest_endpoint(self) -> str:
        """The REST address, `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._port('rest')}"

    def _port(self, protocol: str) -> int:
        assert self._ports is not None, "call WaitUntilRunning() first"
        return self._ports[protocol]

    def peak_memory_mb(self) -> float:
        """Peak resident memory so far, MB; nan if the server has ended."""
        if self._process is None or self._process.poll() is not None:
            return math.nan
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        _, separator, size = status.partition("VmHWM:")  # absent as soon as the process ends
        return int(size.split()[0]) / 1024 if separator else math.nan

    def GetLogs(self) -> str | None:
        """What the server has written to stderr; None before `Start()` and after `Stop()`."""
        if self._home is None:
            return None
        return self._file("errors").read_text(encoding="utf-8", errors="replace")

    def Stop(self) -> None:
        """Kills the server, which has no state to save, and returns when it has ended."""
        if self._process is not None:
            with self._process:  # closes its stdin and waits
                self._process.kill()
        if self._home is not None:
            self._home.cleanup()
            self._home = None

    def _file(self, name: str) -> Path:
        assert self._home is not None, "call Start() first"
        return Path(self._home.name, name)
