"""The process that waits for a run reports its end if the run cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.project import PROJECT_DIR
from pipeline.local.sudden_end import Known, explain

# `act` is what the run's process does once it has reported that the Trainer is running.
RUN = """
import os, signal, sys, time
from pathlib import Path
from pipeline.local.sudden_end import know, watch
watch(["run", "tiny.yaml"])
know(run_id="20261122-183204-123", log="run.log", json="--json" in sys.argv)
know(node="Trainer")
log = os.open("run.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
print("pid", os.getpid(), flush=True)
"""


def start(folder: Path, act: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN + act, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def child_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().split()[1])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_exit_code_of_the_run_is_that_of_the_command(tmp_path: Path) -> None:
    process = start(tmp_path, "sys.exit(3)")
    out, errors = process.communicate()
    assert (process.returncode, out.count("\n"), errors) == (3, 1, "")


def test_run_is_known_by_the_process_that_was_started(tmp_path: Path) -> None:
    process = start(tmp_path, "from pipeline.local.sudden_end import process_id; print(process_id())")
    out, _ = process.communicate()
    assert out.splitlines()[1] == str(process.pid)


def test_abort_of_a_library_without_memory_is_one_line(tmp_path: Path) -> None:
    act = (
        "os.write(log, b'terminate called after throwing an instance of \\'std::bad_alloc\\'\\n  what():  std::bad_alloc\\n');"
        "os.abort()"
    )
    out, errors = (process := start(tmp_path, act)).communicate()
    assert (process.returncode, errors) == (1, "")
    assert out.splitlines()[1:] == [
        "error: node Trainer ran out of memory or threads; lower train.batch_size or transform.max_length, or provide "
        "more memory, and run again (SIGABRT: what():  std::bad_alloc) (details: run.log)"
    ]


def test_kill_is_one_line_and_the_last_line_of_stdout_is_json_where_that_was_asked_for(
    tmp_path: Path,
) -> None:
    process = start(tmp_path, "time.sleep(60)", "--json")
    os.kill(child_of(process), signal.SIGKILL)
    out, errors = process.communicate()
    reason = (
        "node Trainer was killed by a user, or for lack of memory; lower train.batch_size or transform.max_length, or "
        "provide more memory, and run again (details: run.log)"
    )
    assert (process.returncode, errors) == (1, f"error: {reason}\n")
    told = json.loads(out.splitlines()[-1])
    assert (told["run_id"], told["status"], told["reason"]) == ("20261122-183204-123", "failed", reason)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_that_a_process_sends_reaches_the_run(tmp_path: Path, number: int, exit_code: int) -> None:
    process = start(tmp_path, "signal.signal(signal.SIGINT, signal.SIG_DFL); print(); time.sleep(60)")
    child = child_of(process)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    out, errors = process.communicate()
    assert (process.returncode, out, errors) == (
        exit_code,
        f"Interrupted by {signal.Signals(number).name}. Run the same command to resume.\n",
        "",
    )
    assert not is_running(child)


def test_run_does_not_outlive_a_kill_of_the_process_that_was_started(tmp_path: Path) -> None:
    process = start(tmp_path, "time.sleep(60)")
    child = child_of(process)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(child)


def test_other_commands_are_no_child_process() -> None:
    code = "from pipeline.local.sudden_end import know, watch; watch(['serve']); know(node='x'); import os; print(os.getppid())"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True)
    assert done.stdout == f"{os.getpid()}\n"


@pytest.mark.parametrize(
    ("number", "log", "out_of_memory", "told"),
    [
        (
            signal.SIGKILL,
            "",
            True,
            "node Trainer was killed by the kernel for lack of memory; lower train.batch_size or "
            "transform.max_length, or provide more memory, and run again",
        ),
        (
            signal.SIGABRT,
            "F0000 00:00:1795714658.931254   24055 env.cc:84] Check failed: ret == 0 (11 vs. 0) Thread x creation via "
            "pthread_create() failed.\nlater\n",
            False,
            "node Trainer ran out of memory or threads; lower train.batch_size or transform.max_length, or provide more "
            "memory, and run again (SIGABRT: env.cc:84] Check failed: ret == 0 (11 vs. 0) Thread x creation via pthread_create() "
            "failed.)",
        ),
        (signal.SIGSEGV, "a line\n", False, "node Trainer ended with SIGSEGV; run again to resume"),
        (
            signal.SIGABRT,
            "terminate called without an active exception\n",
            False,
            "node Trainer ended with SIGABRT: terminate called without an active exception; run again to resume",
        ),
    ],
)
def test_line_says_what_can_be_known(
    tmp_path: Path, number: int, log: str, out_of_memory: bool, told: str
) -> None:
    (tmp_path / "run.log").write_text(log)
    known = Known(node="Trainer", log=str(tmp_path / "run.log"))
    assert explain(number, known, out_of_memory) == f"{told} (details: {tmp_path}/run.log)"


def test_run_that_said_nothing_yet_has_no_node_and_no_log() -> None:
    assert (
        explain(signal.SIGSEGV, Known(), False)
        == "the run ended with SIGSEGV; run again to resume (details: no log)"
    )
