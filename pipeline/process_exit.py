"""How a process that ran nodes ends: with its own exit code.

Python frees what is left in an order of its own when it ends. After a Beam pipeline that includes repeated fields of
protobuf messages, held by Beam's DoFnSignature in a cycle of references; protobuf's C extension (6.33) then reads
the state of its module, which is gone by then: SIGSEGV, exit code 139 for a run that was done or was refused.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn


def leave(exit_code: int) -> NoReturn:
    """Runs what libraries registered for the end, and ends the process without freeing what is left."""
    atexit._run_exitfuncs()
    leave_now(exit_code)


def leave_now(exit_code: int) -> NoReturn:
    """Ends the process at once: nothing that runs beside it is waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
