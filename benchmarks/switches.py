"""Publishes new versions of the served model under the load of 16 clients.

Measures failed requests, how soon a version is noticed and answers, and the server's memory afterwards.
"""

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
_LOADED_SECONDS = 120  # a version that does not answer after this time counts as failed
_SETTLE_SECONDS = 3.0  # the server releases the old version's memory when it checks for versions again

Load = Callable[[dict[str, Any]], dict[str, Any]]


def switch_versions(load: Load, job: dict[str, Any], home: Path, pid: int, switches: int) -> dict[str, Any]:
    """Publishes copies of version 1 as 2, 3, ..., each as soon as the previous one answers, under load.

    Args:
        load: runs the load generator with a job; raises if a request is not answered with 200.
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
            time.sleep(1.0)  # until the load has started
            for version in range(2, switches + 2):
                # Hard links, because writing 90 MB each time would be an additional load.
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
    """Returns the seconds until the status of `version` is `state` or a later state."""
    wanted = {state, "AVAILABLE"}
    while time.monotonic() < started + _LOADED_SECONDS:
        with urllib.request.urlopen(url, timeout=30) as answer:
            versions = json.load(answer)["model_version_status"]
        if any(one["version"] == str(version) and one["state"] in wanted for one in versions):
            return time.monotonic() - started
        time.sleep(0.02)
    raise BenchmarkError(f"version {version} is not {state} after {_LOADED_SECONDS} s")


def _resident_mib(pid: int) -> float:
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1]) / 1024
