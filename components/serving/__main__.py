"""`python -m components.serving SERVING_DIR NAME SETTINGS_JSON`: the server as a child process.

Writes one line `{"rest": 40123, "grpc": 40124}` to stdout when it listens, the access log after it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from components.errors import PipelineError
from components.settings import ServeSettings


def main() -> None:
    """Serves until a signal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    serving_dir, name, settings = sys.argv[1:]
    from components.serving.server import configure_logging, serve

    configure_logging()
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


if __name__ == "__main__":
    main()
