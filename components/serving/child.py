"""Command line and environment of the server as a child process. Imports no TensorFlow."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from components.project import PROJECT_DIR
from components.serving.board import Place
from components.serving.settings import ServeSettings


def child_command(
    serving_dir: Path, name: str, settings: ServeSettings, place: Place | None = None
) -> list[str]:
    """`python -m components.serving ...`; with a place, the child is one of several workers."""
    command = [sys.executable, "-m", "components.serving", str(serving_dir), name, settings.model_dump_json()]
    return command if place is None else [*command, place.as_json()]


def child_environment() -> dict[str, str]:
    """This process's environment, with a Python path that makes the child import the same code."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_DIR), os.environ.get("PYTHONPATH")])),
    }
