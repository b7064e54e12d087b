"""Runs `make bench`: every part in its own process, then one table and a JSON file.

    .venv/bin/python -m benchmarks [--quick] [--only imports transform] [--json FILE]

Exit code: 0 all parts ran, 1 one failed (the others are shown). A missed target is shown, but is not an error.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from benchmarks.parts import PARTS
from benchmarks.processes import PYTHON, BenchmarkError, environment, print_result
from benchmarks.rows import print_table
from benchmarks.workspace import Workspace
from components.project import PROJECT_DIR

RESULTS_DIR = PROJECT_DIR / "benchmarks" / "results"
LATEST = RESULTS_DIR / "latest.json"  # of a full run; quoted in the README
_WIDTH = 180  # of output that does not go to a terminal
_PACKAGES = ("tfx", "tensorflow", "tensorflow-text", "transformers", "apache-beam")


def main() -> int:
    """Runs the requested parts."""
    arguments = _arguments()
    if arguments.part:
        _run_part(arguments.part, arguments.quick, arguments.workspace)
        return 0
    console = Console()
    console = console if console.is_terminal else Console(width=_WIDTH)
    names = [name for name in PARTS if not arguments.only or name in arguments.only]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        rows, failed = _run_parts(console, names, arguments.quick, Path(scratch))
    report = _report(rows, failed, arguments.quick, time.monotonic() - started)
    complete = not failed and len(names) == len(PARTS)
    show_and_write(console, report, _paths(arguments.json, arguments.quick, complete))
    return 1 if failed else 0


def show_and_write(console: Console, report: Mapping[str, Any], paths: Sequence[Path]) -> None:
    """Prints the table of `report["rows"]` and writes the whole report as JSON to each path."""
    how = "quick" if report["quick"] else "full"
    print_table(console, report["rows"], f"Benchmark ({how}), {report['machine']}, {report['seconds']:.0f} s")
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        console.print(Text(f"written to {os.path.relpath(path)}"), soft_wrap=True)
    for name in report["failed"]:
        console.print(Text(f"part {name} failed, see above", "bold red"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compare this project with its peers."
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows and repetitions: under 10 minutes")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path, help="where to write the figures (default: benchmarks/results)")
    parser.add_argument(
        "--part", choices=list(PARTS), help=argparse.SUPPRESS
    )  # the child process of one part
    parser.add_argument("--workspace", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_part(name: str, quick: bool, folder: Path) -> None:
    rows = PARTS[name](quick, Workspace(folder))
    if not rows:
        raise BenchmarkError(f"part {name} measured nothing")
    print_result({"rows": rows})


def _run_parts(
    console: Console, names: Sequence[str], quick: bool, scratch: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    rows: list[dict[str, Any]] = []
    failed = []
    for name in names:
        started = time.monotonic()
        measured = _in_own_process(name, quick, scratch)
        if measured is None:
            failed.append(name)
        else:
            rows += [{"part": name} | row for row in measured]
        word = "failed" if measured is None else "measured"
        console.print(Text(f"{name}: {word} in {time.monotonic() - started:.0f} s", "dim"))
    return rows, failed


def _in_own_process(name: str, quick: bool, scratch: Path) -> list[dict[str, Any]] | None:
    """Returns the part's rows; if it fails, prints its stderr and returns None."""
    command = [PYTHON, "-m", "benchmarks", "--part", name, "--workspace", str(scratch)]
    command += ["--quick"] if quick else []
    done = subprocess.run(
        command, cwd=PROJECT_DIR, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        return None
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])["rows"]
    return rows


def _report(rows: list[dict[str, Any]], failed: list[str], quick: bool, seconds: float) -> dict[str, Any]:
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "quick": quick,
        "seconds": round(seconds, 1),
        "machine": _machine(),
        "python": platform.python_version(),
        "packages": _versions(),
        "failed": failed,
        "rows": rows,
    }


def _machine() -> str:
    """Describes the machine: `2 cores of Intel(R) Xeon(R), 16 GiB`."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores of {model}, {gib:.0f} GiB"


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in _PACKAGES}


def _paths(requested: Path | None, quick: bool, complete: bool) -> list[Path]:
    """The requested file, or one named after the date; a complete full run is also written to LATEST."""
    stem = datetime.now().strftime("%Y-%m-%d-%H%M%S") + ("-quick" if quick else "")
    chosen = requested.absolute() if requested else RESULTS_DIR / f"{stem}.json"
    return [chosen, *([LATEST] if complete and not quick else [])]


if __name__ == "__main__":
    sys.exit(main())
