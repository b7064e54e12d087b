"""Ends a process that ran nodes without crashing, so that its exit code is kept.

When Python ends, it frees the remaining objects in an arbitrary order. After a Beam pipeline these include repeated
fields of protobuf messages, held by Beam's DoFnSignature in a reference cycle. Freeing them, protobuf's C extension
(6.33) reads the state of its module, which has been freed already: SIGSEGV, and exit code 139 for a run that succeeded
or was rejected.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import NoReturn


def leave_after(main: Callable[[], None]) -> None:
    """Calls a script's `main`; if Beam was used, ends the process like `leave`, with the exit code of `main`.

    Called only by the scripts, so that a test can call `main` and continue.
    """
    exit_code: int | str | None = 0
    try:
        main()
    except SystemExit as end:
        exit_code = end.code
        if "apache_beam" not in sys.modules or isinstance(exit_code, str):
            raise
    if "apache_beam" in sys.modules:
        leave(int(exit_code or 0))


def leave(exit_code: int) -> NoReturn:
    """Runs the exit handlers of libraries and ends the process without freeing the remaining objects."""
    atexit._run_exitfuncs()
    leave_now(exit_code)


def leave_now(exit_code: int) -> NoReturn:
    """Ends the process at once, without waiting for its threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
