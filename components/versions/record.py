"""push.json: who put a version there, when, and what it was made from. Plain Python."""

from __future__ import annotations

import getpass
import json
import os
import socket
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from components.model_files import RECORD_FILE, damage


class _Promotion(BaseModel):
    model_config = ConfigDict(strict=True)

    version: PositiveInt
    serving_dir: str | None = None


class _Record(BaseModel):
    """The values that decisions and lists rest on; all of them may be missing."""

    model_config = ConfigDict(strict=True)

    by: str | None = None
    pushed_at: str | None = None
    run_id: str | None = None
    run_started_at: str | None = None
    restored_from: PositiveInt | None = None
    promoted_from: _Promotion | None = None
    metrics: dict[str, float | None] | None = None
    baseline_metrics: dict[str, float | None] | None = None
    data: dict[str, Any] | None = None
    checkpoint: dict[str, Any] | None = None


def read_info(version_dir: Path) -> dict[str, Any]:
    """Returns the version's push.json without keys whose values are wrong; {} when there is none to read."""
    return _read(version_dir)[0]


def version_damage(version_dir: Path, thorough: bool = False) -> str:
    """Returns why a version is no longer what was pushed, its push.json included; "" when it is.

    Args:
        version_dir: folder of the version.
        thorough: read every file, see `damage`.
    """
    info, problem = _read(version_dir)
    return problem or damage(version_dir, info, thorough)


def who() -> str:
    """`user@host` of this process. A container's user need not have a name: `1000@trainer-7f9c`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such entry in passwd; OSError from Python 3.13 on
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _read(version_dir: Path) -> tuple[dict[str, Any], str]:
    """(what can be used of push.json, what is wrong with it)."""
    try:
        info = json.loads((version_dir / RECORD_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:  # a model that was copied there by hand
        return {}, ""
    except (OSError, ValueError) as error:
        return {}, f"{RECORD_FILE} cannot be read ({' '.join(str(error).split())})"
    if not isinstance(info, dict):
        return {}, f"{RECORD_FILE} is no JSON object"
    try:
        _Record.model_validate(info)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        key = ".".join(map(str, wrong[0]["loc"]))
        usable = {name: value for name, value in info.items() if name not in {e["loc"][0] for e in wrong}}
        problem = "is missing" if wrong[0]["type"] == "missing" else f"cannot be {wrong[0]['input']!r}"
        return usable, f"{RECORD_FILE}: {key} {problem}"
    return info, ""
