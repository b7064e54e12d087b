"""TensorFlow's messages during its import are dropped; important ones, including those of a crash, are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from components.project import PROJECT_DIR
from components.serving.quiet_import import LOG_LEVEL, QUIET, VERBOSE

REMARKS = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    "I0000 00:00:1795708275.689662    6400 cudart_stub.cc:31] Could not find cuda drivers\n"
    "W0000 00:00:1795708275.689662    6400 port.cc:153] oneDNN custom operations are on.\n"
)
WORDS = "F0000 00:00:1795708275.689662    6400 a.cc:1] out of memory\nI say nothing more"


def run(code: str, level: str) -> subprocess.CompletedProcess[str]:
    program = f"""
import os, sys
from components.serving.quiet_import import without_noise
with without_noise():
    os.write(2, {REMARKS.encode()!r})
    print({WORDS!r}, end="", file=sys.stderr)
    {code}
print(" after", file=sys.stderr)
"""
    environment = os.environ | {LOG_LEVEL: level}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
    )


def test_remarks_are_dropped_and_the_rest_comes_in_its_order() -> None:
    done = run("pass", QUIET)
    assert (done.returncode, done.stderr) == (0, f"{WORDS} after\n")


def test_who_asks_for_the_remarks_gets_them() -> None:
    assert run("pass", VERBOSE).stderr == f"{REMARKS}{WORDS} after\n"


def test_last_words_of_a_process_that_dies_are_kept() -> None:
    done = run("sys.stderr.flush(); os.abort()", QUIET)
    assert (done.returncode, done.stderr) == (-signal.SIGABRT, WORDS)


def test_error_in_the_block_is_raised_with_stderr_as_it_was() -> None:
    done = run("raise SystemExit('broken')", QUIET)
    assert (done.returncode, done.stderr) == (1, f"{WORDS}broken\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_all_ends_the_process_and_its_last_words_are_kept(number: signal.Signals) -> None:
    reset = f"import signal; signal.signal({int(number)}, signal.SIG_DFL)"
    done = run(f"{reset}; sys.stderr.flush(); os.killpg(0, {int(number)})", QUIET)
    assert (done.returncode, done.stderr) == (-number, WORDS)
