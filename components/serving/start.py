"""Starts the server: one process, or several workers and their supervisor. Only serving processes import TensorFlow."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from components.serving.board import Place
from components.serving.callbacks import Listening, Ready
from components.serving.quiet_import import LOG_LEVEL, VERBOSE, without_noise
from components.serving.settings import ServeSettings


def serve(
    serving_dir: Path,
    name: str,
    settings: ServeSettings,
    on_listening: Listening,
    place: Place | None = None,
    on_ready: Ready = lambda: None,
) -> None:
    """Serves the newest version under `<serving_dir>/<name>` until SIGTERM or SIGINT.

    Listens immediately; requests get 503 until the first version is loaded.

    Args:
        on_listening: called with the REST and the gRPC port.
        place: set if this process is one of `settings.workers`.
        on_ready: called once, when a version is loaded and requests are answered.

    Raises:
        PipelineError: a port cannot be listened on, or a worker cannot be started.
    """
    _configure_logging("" if place is None else f"worker {place.worker}: ")
    if place is None and settings.workers > 1:
        from components.serving.workers import serve_with_workers

        serve_with_workers(serving_dir, name, settings, on_listening, on_ready)
        return
    # oneDNN keeps caches as large as a small model after a version is unloaded. TensorFlow reads this variable when
    # it is imported, which is next.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    with without_noise():
        from components.serving.server import serve_here

    serve_here(serving_dir, name, settings, on_listening, on_ready, place)


def _configure_logging(prefix: str) -> None:
    """Logs to stderr, one line per message; stdout is for the access log. Libraries log only warnings by default."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s %(levelname)s {prefix}%(message)s",
        force=True,
    )
    if os.environ.get(LOG_LEVEL) == VERBOSE:
        return
    for name in ("kserve", "kserve.trace", "uvicorn", "uvicorn.error", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns that sessions are deprecated, but TF Serving uses them as well.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
