"""`python -m components.serving SERVING_DIR NAME SETTINGS_JSON`: the server as a child process.

Writes one line `{"rest": 40123, "grpc": 40124}` to stdout when it listens, the access log after it. Stops on
SIGTERM, and when its stdin ends: a parent that dies leaves no server behind.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from components.errors import PipelineError
from components.serving.settings import ServeSettings


def main() -> None:
    """Serves until a signal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    serving_dir, name, settings = sys.argv[1:]
    from components.serving.server import configure_logging, serve

    configure_logging()
    threading.Thread(target=_stop_with_parent, name="parent", daemon=True).start()
    try:
        serve(
            Path(serving_dir),
            name,
            ServeSettings.model_validate_json(settings),
            lambda rest, grpc: print(json.dumps({"rest": rest, "grpc": grpc}), flush=True),
        )
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _stop_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
