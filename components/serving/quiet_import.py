"""Suppresses TensorFlow's messages during its import, when its log levels do not apply yet."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"  # TensorFlow's own minimum level; 3: only fatal messages
QUIET, VERBOSE = "3", "0"

# "I0000 00:00:1795708275.689662    6400 cudart_stub.cc:31] Could not find cuda drivers on your machine, ..."
_NOISE = re.compile(
    rb"(?:WARNING: All log messages before absl::InitializeLog\(\) is called"
    rb"|[IW]\d{4} \d\d:\d\d:\S+ +\d+ \S+\.cc:\d+\])"
)


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
    """Pipes stderr inside the block through a child process that drops TensorFlow's messages.

    It is a process so that the last messages of a process that dies in the block (out of memory, illegal
    instruction) are still written. If the user has set another log level than QUIET, nothing is dropped.
    """
    if os.environ.get(LOG_LEVEL) != QUIET:
        yield
        return
    sys.stderr.flush()
    read, write = os.pipe()
    # The child ignores signals to the process group, so that it outlives this process.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    child = os.fork()
    if child == 0:
        _copy_and_exit(read, write)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(read)
    kept = os.dup(2)
    os.dup2(write, 2)
    os.close(write)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.waitpid(child, 0)


def _copy_and_exit(read: int, write: int) -> None:
    """Copies until the other process has closed its end, for whatever reason."""
    os.close(write)
    with os.fdopen(read, "rb") as lines:
        for line in lines:
            if not _NOISE.match(line):
                os.write(2, line)
    os._exit(0)
