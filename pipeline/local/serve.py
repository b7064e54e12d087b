"""The `serve` sub-command: what was pushed, on this machine."""

from __future__ import annotations

import sys

from pipeline.config import Config
from pipeline.local import quiet


def serve_config(config: Config) -> None:
    """Serves the pushed versions of a config until SIGTERM or Ctrl-C.

    Raises:
        PipelineError: a port cannot be listened on, or a worker cannot be started.
    """
    quiet.prepare_environment()
    folder = config.push.serving_dir / config.name
    if not folder.is_dir():
        _say(f"{folder}: nothing was pushed yet; waiting for the first version")
    from components.serving.start import serve

    host = config.serve.host
    processes = f" with {config.serve.workers} workers" if config.serve.workers > 1 else ""
    serve(
        config.push.serving_dir,
        config.name,
        config.serve,
        lambda rest, grpc: _say(
            f"serving {folder}{processes}: REST http://{host}:{rest}/v1/models/{config.name}, gRPC {host}:{grpc}"
        ),
    )


def _say(message: str) -> None:
    # Not on stdout, which is the access log's.
    print(message, file=sys.stderr, flush=True)
