"""Compares the model server under load with servers that one would write by hand.

All use the same weights and questions. The load is a closed loop of 1, 16 and 64 clients from a separate process, on one
server at a time. Before the timing, every system answers every question, and the labels must be equal.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.processes import (
    PEER_PYTHON,
    PROJECT_DIR,
    PYTHON,
    BenchmarkError,
    Command,
    environment,
    measure,
)
from benchmarks.rows import make_row
from benchmarks.switches import switch_versions
from benchmarks.workspace import Workspace

CLIENTS = (1, 16, 64)
WORKERS = 2
SWITCHES = 20
NAME = "trec"  # of the served model
_START_SECONDS = 180  # a server that is not ready after this time counts as failed
_STOP_SECONDS = 60  # a server that has not stopped after this time is killed


class System(NamedTuple):
    """A server: its command, and the paths of its endpoints."""

    name: str
    command: Command
    ready: str
    predict: str


def run(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    """Returns the rows of the model server.

    Requests/s, p50 and p99 at each number of clients against two servers; p50 of one client against the bare
    SavedModel; 20 switches to a new version under load; more worker processes against one.
    """
    folder = workspace.served_model()
    saved_model, questions = folder / "serving" / NAME / "1", folder / "questions.json"
    bare = measure(
        [PYTHON, "-m", "benchmarks.peers.savedmodel_loop", saved_model, questions, str(_seconds(quick))]
    ).result()
    ours, more, *peers = [_measure_system(system, folder, quick) for system in systems(folder)]
    for measured in (more, *peers):
        _require_equal(measured["name"], measured["labels"], ours["labels"])
    _require_equal("bare SavedModel", bare["labels"], ours["labels"])
    rows = [row for peer in peers for row in _against_server(ours, peer)]
    rows += [*_against_bare(ours, bare), *_switch_rows(ours["switches"])]
    return [*rows, *_workers_against_one(more, ours)]


def _seconds(quick: bool) -> float:
    return 1.0 if quick else 8.0


def systems(folder: Path) -> list[System]:
    """Returns our server with its defaults, our server with workers, and the peers; each on its own free port."""
    first, second, third, fourth = _free_ports(4)
    saved_model = folder / "serving" / NAME / "1"
    predict = f"/v1/models/{NAME}:predict"
    torch: Command = [PEER_PYTHON, "-m", "benchmarks.peers.pipeline_server", folder / "transformers"]
    kserve: Command = [PYTHON, "-m", "benchmarks.peers.kserve_server", saved_model]
    return [
        _ours("ours", folder, first, 1),
        _ours(f"{WORKERS} workers", folder, fourth, WORKERS),
        System(
            "FastAPI + pipeline (PyTorch)",
            [*torch, str(second)],
            f"http://127.0.0.1:{second}/health",
            "/predict",
        ),
        System(
            "KServe SDK, no batching",
            [*kserve, str(third)],
            f"http://127.0.0.1:{third}/v2/health/ready",
            predict,
        ),
    ]


def _ours(name: str, folder: Path, port: int, workers: int) -> System:
    settings = json.dumps({"port": port, "grpc_port": 0, "workers": workers})
    return System(
        name,
        [PYTHON, "-m", "components.serving", folder / "serving", NAME, settings],
        f"http://127.0.0.1:{port}/v2/health/ready",
        f"/v1/models/{NAME}:predict",
    )


def _measure_system(system: System, folder: Path, quick: bool) -> dict[str, Any]:
    seconds = _seconds(quick)
    questions = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    port = int(re.findall(r":(\d+)/", system.ready)[0])
    job = {"port": port, "path": system.predict, "questions": questions}
    with _running(system) as process:
        labels = _load(job | {"clients": 16, "seconds": 0})["labels"]
        levels = {clients: _load(job | {"clients": clients, "seconds": seconds}) for clients in CLIENTS}
        result = {"name": system.name, "labels": labels, "levels": levels, "peak_mib": _peak_mib(process.pid)}
        if system.name == "ours":
            home = folder / "serving" / NAME
            result["switches"] = switch_versions(_load, job, home, process.pid, 3 if quick else SWITCHES)
        return result


@contextlib.contextmanager
def _running(system: System) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [str(part) for part in system.command],
            stdin=subprocess.PIPE,  # our server stops when its stdin is closed
            stdout=subprocess.DEVNULL,
            stderr=err,
            cwd=PROJECT_DIR,
            env=environment(),
        )
        try:
            if not _is_ready(process, system.ready):
                err.seek(0)
                raise BenchmarkError(f"{system.name} does not start:\n{err.read()[-3000:]}")
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        # OSError: not listening, not ready or not answering yet.
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10):
            return True
        time.sleep(0.1)
    return False


def _load(job: dict[str, Any]) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(job, file)
        file.flush()
        return measure([PYTHON, "-m", "benchmarks.load", file.name]).result()


def _require_equal(name: str, labels: list[str], ours: list[str]) -> None:
    differing = [number for number, pair in enumerate(zip(labels, ours, strict=True)) if len(set(pair)) != 1]
    if differing:
        raise BenchmarkError(f"{name} gives other labels than our server to the questions {differing[:10]}")


def _against_server(ours: dict[str, Any], peer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    target = ">= 2" if "KServe" in peer["name"] else ">= 2.5"
    for clients in CLIENTS:
        mine, theirs = ours["levels"][clients], peer["levels"][clients]
        yield make_row(
            f"server, {clients} client{'s' if clients > 1 else ''}",
            mine["per_second"],
            "req/s",
            peer_name=peer["name"],
            peer=theirs["per_second"],
            target=target if clients == 16 else "",
            ours_peak_mib=ours["peak_mib"],
            peer_peak_mib=peer["peak_mib"],
            rows=len(ours["labels"]),
            note=f"p50 / p99 ms: ours {_latencies(mine)}; {peer['name']} {_latencies(theirs)}",
        )


def _against_bare(ours: dict[str, Any], bare: dict[str, Any]) -> Iterator[dict[str, Any]]:
    mine = ours["levels"][1]
    yield make_row(
        "server, p50 of 1 client",
        mine["p50_ms"],
        "ms",
        peer_name="bare SavedModel in a loop",
        peer=bare["p50_ms"],
        target="<= 1.3",
        ours_peak_mib=ours["peak_mib"],
        peer_peak_mib=bare["peak_mib"],
        rows=len(ours["labels"]),
        note=f"p99 ms: ours {mine['p99_ms']:.1f}, bare {bare['p99_ms']:.1f}; the load generator shares the cores",
    )


def _workers_against_one(workers: dict[str, Any], ours: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for clients in CLIENTS:
        several, one = workers["levels"][clients], ours["levels"][clients]
        yield make_row(
            f"server with {workers['name']}, {clients} client{'s' if clients > 1 else ''}",
            several["per_second"],
            "req/s",
            peer_name="our server, one process",
            peer=one["per_second"],
            ours_peak_mib=workers["peak_mib"],
            peer_peak_mib=ours["peak_mib"],
            rows=len(ours["labels"]),
            note=f"p50 / p99 ms: {workers['name']} {_latencies(several)}; one process {_latencies(one)}",
        )


def _switch_rows(switched: dict[str, Any]) -> Iterator[dict[str, Any]]:
    under = f"{switched['switches']} switches under 16 clients"
    requests = f"{switched['requests']:.0f} requests, 0 failed; p99 {switched['p99_ms']:.0f} ms"
    yield make_row(
        f"server, memory after {under}",
        switched["after_mib"],
        "MiB",
        peer_name="before them",
        peer=switched["before_mib"],
        target="<= 1.1",
        note=requests,
    )
    yield make_row(
        f"server, new version noticed, longest of {under}",
        switched["seen_seconds"],
        "s",
        target="<= 2",
        note=f"it answers after at most {switched['answers_seconds']:.1f} s",
    )


def _latencies(level: dict[str, Any]) -> str:
    return f"{level['p50_ms']:.1f} / {level['p99_ms']:.1f}"


def _peak_mib(pid: int) -> float:
    """Peak resident memory of a running process and its children, MiB."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(match[1]) / 1024 + sum(_peak_mib(int(child)) for child in children)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
