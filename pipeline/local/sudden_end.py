"""Reports how a run ended that cannot report it itself: killed, or aborted by a library that ran out of memory.

The run is a child process; this process waits for it, forwards signals and exits with its code. It imports next to
nothing, so the kernel's out-of-memory killer does not choose it, and it never ends before the child.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple, NoReturn

_PR_SET_PDEATHSIG = 1
_KNOWN_BYTES = 4096
_TAIL_BYTES = 8192
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
# What libraries write to the log when they run out of memory.
_NO_MEMORY = (
    "bad_alloc",
    "Cannot allocate memory",
    "MemoryError",
    "Resource exhausted",
    "out of memory",
    "pthread_create",
)
_CRASH_WORDS = (*_NO_MEMORY, "terminate called", "Check failed", "Fatal Python error")
_LOG_PREFIX = re.compile(r"^[FEWI]\d{4} [\d:.]+\s+\d+ ")  # of TensorFlow's lines

_shared: mmap.mmap | None = None  # by both processes: the child's latest facts about itself, as JSON


class Known(NamedTuple):
    """The facts of a run. `json`: whether its standard output is one JSON object; `node`: the one that runs."""

    run_id: str = ""
    log: str = ""
    json: bool = False
    node: str = ""


def watch(arguments: list[str]) -> None:
    """For `run`: returns in a child process, while this process waits, reports how it ended and exits.

    Args:
        arguments: of the command line, without the program's name.
    """
    global _shared
    if arguments[:1] != ["run"]:
        return
    _shared = mmap.mmap(-1, _KNOWN_BYTES)
    started, killed_before = time.monotonic(), _out_of_memory_kills()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it were ignored, no child could be waited for
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_FORWARDED, signal.SIGCHLD})
    parent, child = os.getpid(), os.fork()
    if not child:
        _die_with(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_FORWARDED, signal.SIGCHLD})
        return
    status = _wait(child)
    if os.WIFEXITED(status):
        os._exit(os.WEXITSTATUS(status))
    _tell(os.WTERMSIG(status), time.monotonic() - started, _out_of_memory_kills() > killed_before)


def process_id() -> int:
    """The process that the user started, which `ps` and shells show and which signals are sent to."""
    return os.getpid() if _shared is None else os.getppid()


def know(**facts: str | bool) -> None:
    """Called by the run: sets some fields of `Known`; the others stay."""
    if _shared is not None:
        content = json.dumps({**_read()._asdict(), **facts}).encode()
        if len(content) < _KNOWN_BYTES:
            _shared[: len(content) + 1] = content + b"\0"


def _read() -> Known:
    assert _shared is not None
    content = bytes(_shared[:]).partition(b"\0")[0]
    try:
        return Known(**json.loads(content or b"{}"))
    except ValueError:  # the child ended while it wrote
        return Known()


def _die_with(parent: int) -> None:
    """Makes the kernel kill this process when its parent ends: a run must not survive a `kill -9` of its parent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _wait(child: int) -> int:
    """Waits for the child and returns its wait status. Signals from a terminal reach both processes by themselves."""
    while True:
        caught = signal.sigwaitinfo({*_FORWARDED, signal.SIGCHLD})
        if caught.si_signo == signal.SIGCHLD:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return status
        elif caught.si_pid:  # sent by a process, not by the terminal
            os.kill(child, caught.si_signo)


def _tell(number: int, seconds: float, out_of_memory: bool) -> NoReturn:
    known = _read()
    if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        reason = f"Interrupted by {_name(number)}. Run the same command to resume."
        prefix, exit_code = "", 128 + number
    else:
        reason, prefix, exit_code = explain(number, known, out_of_memory), "error: ", 1
    stream = sys.stderr if known.json else sys.stdout
    if stream.isatty():
        print("\x1b[?25h", file=stream)  # the live display had hidden the cursor
    print(f"{prefix}{reason}", file=stream, flush=True)
    if known.json:
        from pipeline.local.run import json_of_failure

        print(json.dumps(json_of_failure(known.run_id, reason, seconds)), flush=True)
    os._exit(exit_code)


def explain(number: int, known: Known, out_of_memory: bool) -> str:
    """Returns the line for the user.

    Args:
        number: of the signal that ended the run.
        known: the run's facts about itself.
        out_of_memory: whether the kernel killed a process for lack of memory during the run.
    """
    from pipeline.local.failures import memory_advice

    node = f"node {known.node}" if known.node else "the run"
    last_words = _last_words(known.log)
    if number == signal.SIGKILL:
        killer = "by the kernel for lack of memory" if out_of_memory else "by a user, or for lack of memory"
        reason = f"was killed {killer}{memory_advice()}"
    elif any(words in last_words for words in _NO_MEMORY):
        reason = f"ran out of memory or threads{memory_advice()} ({_name(number)}: {last_words})"
    else:
        reason = f"ended with {_name(number)}{': ' if last_words else ''}{last_words}; run again to resume"
    return f"{node} {reason} (details: {known.log or 'no log'})"


def _last_words(log: str) -> str:
    """The last line of the log that explains a crash; "" if there is none."""
    try:
        with Path(log).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return ""
    matches = [line for line in lines if any(words in line for words in _CRASH_WORDS)]
    return _LOG_PREFIX.sub("", matches[-1])[:300] if matches else ""


def _name(number: int) -> str:
    return signal.Signals(number).name


def _out_of_memory_kills() -> int:
    """Number of processes that the kernel of this machine has killed for lack of memory."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
