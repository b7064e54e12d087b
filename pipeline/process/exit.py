"""How a process that ran nodes ends: with its own exit code.

Python frees what is left in an order of its own when it ends. After a Beam pipeline that includes repeated fields of
protobuf messages, held by Beam's DoFnSignature in a cycle of references; protobuf's C extension (6.33) then reads
the state of its module, which is gone by then: SIGSEGV, exit code 139 for a run that was done or was refused.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import NoReturn


def leave_after(main: Callable[[], None]) -> None:
    """Calls a script's `main`; if Beam was used, ends the process as `leave` does, with the code of its SystemExit.

    In the script alone: a test that calls `main` goes on.
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
    """Runs what libraries registered for the end, and ends the process without freeing what is left."""
    atexit._run_exitfuncs()
    leave_now(exit_code)


def leave_now(exit_code: int) -> NoReturn:
    """Ends the process at once: nothing that runs beside it is waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
