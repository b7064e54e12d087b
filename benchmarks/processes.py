"""Runs a command in its own process and measures wall time, CPU time and peak memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.project import PROJECT_DIR

PYTHON = sys.executable
# The peers' environment: PyTorch and `datasets` cannot be installed together with TFX.
PEER_PYTHON = PROJECT_DIR / ".venv-bench" / "bin" / "python"

_ENVIRONMENT = {
    "TF_USE_LEGACY_KERAS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",  # both sides run on the CPU
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "PYTHONPATH": str(PROJECT_DIR),
}


Command = list[str | Path]


class BenchmarkError(Exception):
    """A measured command failed; the message contains the end of its output."""


@dataclass(frozen=True)
class Measured:
    """The measurements of one process, from its start to its end."""

    seconds: float
    cpu_seconds: float
    peak_mib: float  # ru_maxrss, of the process or the largest of its children
    stdout: str

    def result(self) -> dict[str, Any]:
        """The JSON object in the last line of stdout.

        Raises:
            BenchmarkError: there is none.
        """
        lines = self.stdout.strip().splitlines()
        try:
            result: dict[str, Any] = json.loads(lines[-1])
        except (IndexError, ValueError) as error:
            raise BenchmarkError(f"the last line is not a JSON object: {lines[-1:]}") from error
        return result


def environment() -> dict[str, str]:
    """The environment of every measured process; it allows bytecode to be written, for both sides."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return inherited | _ENVIRONMENT


def measure(command: Sequence[str | Path], may_exit: Sequence[int] = (0,)) -> Measured:
    """Runs `command` in the project's folder.

    The peak is correct only if this process is small, because Linux counts the parent's memory at the time
    of the fork as the child's. Therefore nothing heavy is imported here.

    Raises:
        BenchmarkError: its exit code is not in `may_exit`.
    """
    arguments = [str(part) for part in command]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.monotonic()
        process = subprocess.Popen(
            arguments, stdout=out, stderr=err, stdin=subprocess.DEVNULL, cwd=PROJECT_DIR, env=environment()
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            process.kill()
            raise
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in may_exit:
            raise BenchmarkError(_failure(arguments, process.returncode, _read(out) + _read(err)))
        return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, _read(out))


def first_line(command: Sequence[str | Path], pattern: str) -> float:
    """Returns the seconds from the start of `command` to the first line of its stdout that matches `pattern`.

    The process is then killed.

    Raises:
        BenchmarkError: it ended without such a line.
    """
    arguments = [str(part) for part in command]
    with tempfile.TemporaryFile("w+") as err:
        started = time.monotonic()
        process = subprocess.Popen(
            arguments,
            stdout=subprocess.PIPE,
            stderr=err,
            stdin=subprocess.DEVNULL,
            cwd=PROJECT_DIR,
            env=environment(),
            text=True,
        )
        seen = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if re.search(pattern, line):
                    return time.monotonic() - started
                seen.append(line)
        finally:
            process.kill()
            code = process.wait()
        raise BenchmarkError(_failure(arguments, code, "".join(seen) + _read(err)))


def reset_peak() -> None:
    """Resets this process's peak memory to its current memory."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """Peak resident memory of this process since its start or `reset_peak`, MiB."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) / 1024


def print_result(result: Mapping[str, Any]) -> None:
    """Prints the result of a measured process as its last line, for `Measured.result`."""
    print("\n" + json.dumps(result), flush=True)


def _read(file: Any) -> str:
    file.seek(0)
    text: str = file.read()
    return text


def _failure(arguments: Sequence[str], code: int, output: str) -> str:
    last = "\n".join(output.strip().splitlines()[-15:])
    return f"exit code {code} of {' '.join(arguments)}\n{last}"
