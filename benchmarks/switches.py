"""New versions of the served model while 16 clients ask: what fails, how soon they are seen, what memory stays."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError

CLIENTS = 16
_LOADED_SECONDS = 120  # a version that does not answer by then is broken
_SETTLE_SECONDS = 3.0  # the old version's memory is given back at the server's next look

Load = Callable[[dict[str, Any]], dict[str, Any]]


def switch_versions(load: Load, job: dict[str, Any], home: Path, pid: int, switches: int) -> dict[str, Any]:
    """Publishes copies of version 1 as 2, 3, ..., each as soon as the one before answers, under load.

    Args:
        load: runs the load generator with a job; raises when one request is not answered with 200.
        home: `<serving_dir>/<name>`.
        pid: of the server.

    Returns:
        {"requests", "per_second", "p99_ms"} of the load, "seen_seconds" and "answers_seconds" (the longest of the
        switches), "before_mib" and "after_mib" (resident, with one version loaded), "switches".
    """
    url = f"http://127.0.0.1:{job['port']}/v1/models/{home.name}"
    before = _resident_mib(pid)
    seen, answers = [], []
    with ThreadPoolExecutor(1) as threads, tempfile.TemporaryDirectory() as folder:
        until = Path(folder, "until")
        asked = threads.submit(load, job | {"clients": CLIENTS, "seconds": 3600, "until": str(until)})
        try:
            time.sleep(1.0)  # the load is there
            for version in range(2, switches + 2):
                # Hard links: writing 90 MB each time would be a load of another kind.
                shutil.copytree(home / "1", home / "copy", copy_function=os.link)
                started = time.monotonic()
                (home / "copy").rename(home / str(version))
                seen.append(_until(url, version, "LOADING", started))
                answers.append(_until(url, version, "AVAILABLE", started))
        finally:
            until.touch()
        result = asked.result()
    time.sleep(_SETTLE_SECONDS)
    return result | {
        "seen_seconds": max(seen),
        "answers_seconds": max(answers),
        "before_mib": before,
        "after_mib": _resident_mib(pid),
        "switches": switches,
    }


def _until(url: str, version: int, state: str, started: float) -> float:
    """Seconds until the status tells `version` in `state`, or past it."""
    wanted = {state, "AVAILABLE"}
    while time.monotonic() < started + _LOADED_SECONDS:
        with urllib.request.urlopen(url, timeout=30) as answer:
            told = json.load(answer)["model_version_status"]
        if any(one["version"] == str(version) and one["state"] in wanted for one in told):
            return time.monotonic() - started
        time.sleep(0.02)
    raise BenchmarkError(f"version {version} is not {state} after {_LOADED_SECONDS} s")


def _resident_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
