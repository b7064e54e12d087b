"""The `serve` sub-command: serves the pushed model on this machine."""

from __future__ import annotations

import os
import shlex
import sys

from components.processor import computes_in_bfloat16
from components.serving.quiet_import import LOG_LEVEL, QUIET, VERBOSE
from components.versions import store
from pipeline.config import Config
from pipeline.process import quiet


def serve_config(config: Config, config_path: str, verbose: bool) -> None:
    """Serves the pushed versions of a config until SIGTERM or Ctrl-C.

    Args:
        config_path: where the config was read, for the message with the command that pushes a version.
        verbose: whether TensorFlow and the server's libraries write their logs to stderr.

    Raises:
        PipelineError: the serving folder cannot be read, a port cannot be listened on, or a worker cannot be
            started.
    """
    if verbose:
        os.environ[LOG_LEVEL] = VERBOSE
    os.environ.setdefault(LOG_LEVEL, QUIET)
    quiet.prepare_environment()
    console = _Console(config, config_path)
    console.say_what_comes()
    from components.serving.start import serve

    serve(
        config.push.serving_dir,
        config.name,
        config.serve,
        on_listening=console.listening,
        on_ready=console.ready,
    )


class _Console:
    """Prints whether the server is ready, and what it waits for until then."""

    def __init__(self, config: Config, config_path: str) -> None:
        self._folder = config.push.serving_dir / config.name
        self._waits = not store.versions(config.push.serving_dir, config.name)
        self._config, self._config_path = config, config_path
        self._where = ""

    def say_what_comes(self) -> None:
        if self._config.serve.precision == "bfloat16" and not computes_in_bfloat16():
            _say(
                "serve.precision: this processor has neither AVX512_BF16 nor AMX, so bfloat16 takes several times as long as "
                "float32"
            )
        if not self._waits:
            _say(f"{self._folder}: loading the newest version")

    def listening(self, rest: int, grpc: int) -> None:
        host = self._config.serve.host
        self._where = f"REST http://{host}:{rest}/v1/models/{self._config.name}, gRPC {host}:{grpc}"
        if self._waits:
            command = f"python runner_local.py run {shlex.quote(self._config_path)}"
            _say(
                f"{self._folder}: nothing has been pushed yet; waiting for the first version (`{command}` pushes one). "
                f"Until then requests get 503: {self._where}"
            )

    def ready(self) -> None:
        workers = self._config.serve.workers
        processes = f" with {workers} workers" if workers > 1 else ""
        _say(f"serving {self._folder}{processes}: {self._where}")


def _say(message: str) -> None:
    # Not on stdout, which is for the access log.
    print(message, file=sys.stderr, flush=True)
