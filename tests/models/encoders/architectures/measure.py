"""Measures rows in two processes, so that what the second one loads owes nothing to the first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.project import PROJECT_DIR

_PACKAGE = "tests.models.encoders.architectures"


@dataclass(frozen=True)
class Measured:
    """What `first.First` and `second.Second` say, as JSON."""

    first: dict[str, Any]
    second: dict[str, Any]


def measure(model_types: Sequence[str], folder: Path) -> dict[str, Measured]:
    """Measures architectures, each in a folder below `folder`.

    Returns:
        What was seen of each; one that failed is left out, and why is printed.
    """
    first, second = (_run(process, model_types, folder) for process in ("first", "second"))
    return {kind: Measured(first[kind], second[kind]) for kind in second}


def _run(process: str, model_types: Sequence[str], folder: Path) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", f"{_PACKAGE}.{process}", str(folder), *model_types],
        cwd=PROJECT_DIR,
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.PIPE,
        text=True,
    )
    results = {kind: folder / kind / f"{process}.json" for kind in model_types}
    if done.returncode or not all(path.is_file() for path in results.values()):
        print(done.stderr[-5000:], file=sys.stderr)
    return {kind: json.loads(path.read_text()) for kind, path in results.items() if path.is_file()}
