"""`python -m components.serving SERVING_DIR NAME SETTINGS_JSON [PLACE_JSON]`: the server as a child process.

Writes the line `{"rest": 40123, "grpc": 40124}` to stdout when it listens, followed by the access log; one of
several workers (PLACE_JSON) writes only the log. Stops on SIGTERM and when its stdin closes, so that the server
ends with its parent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from components.serving.board import Place
from components.serving.quiet_import import LOG_LEVEL, QUIET
from components.serving.settings import ServeSettings
from components.serving.start import serve
from models.errors import PipelineError


def main() -> None:
    """Serves until a signal."""
    os.environ.setdefault(LOG_LEVEL, QUIET)
    serving_dir, name, settings_json, *more = sys.argv[1:]
    settings = ServeSettings.model_validate_json(settings_json)
    place = Place(**json.loads(more[0])) if more else None
    threading.Thread(target=_stop_with_parent, name="parent", daemon=True).start()
    try:
        serve(Path(serving_dir), name, settings, _say_ports if place is None else _say_nothing, place)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _say_ports(rest: int, grpc: int) -> None:
    print(json.dumps({"rest": rest, "grpc": grpc}), flush=True)


def _say_nothing(rest: int, grpc: int) -> None:
    """The supervisor of the workers has already printed the ports."""


def _stop_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
