"""The exit code of a process that ran nodes is its own, even if Python crashes during its shutdown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from components.project import PROJECT_DIR

# Freed with the module, as what protobuf's extension crashes on is.
_CRASHES_WHEN_FREED = """
import atexit, os, signal, sys
from pipeline.process.exit import leave
class Crash:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGSEGV):
        kill(pid, number)
crash = Crash()
atexit.register(print, "registered")
print("last line")
{end}(3)
"""


@pytest.mark.parametrize(("end", "exit_code"), [("leave", 3), ("sys.exit", -11)])
def test_exit_code_outlives_a_crash_of_the_teardown(end: str, exit_code: int) -> None:
    script = _CRASHES_WHEN_FREED.format(end=end)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == exit_code
    if end == "leave":
        assert done.stdout == "last line\nregistered\n"
