"""Checks the interpreter and its packages first, and reports problems in one line instead of a traceback.

This module uses the standard library only, and the syntax of Python 3.6, so that it runs in any environment.
"""

import importlib
import os
import shlex
import sys
from types import ModuleType
from typing import Callable, NoReturn  # noqa: UP035  (older interpreters have it here only)

from components.project import PACKAGES, PROJECT_DIR

ENVIRONMENT = os.path.join(str(PROJECT_DIR), ".venv")
NEEDED = (3, 11)


def check_python() -> None:
    """Ends the process with exit code 1 if this is not the Python version that the project needs."""
    if sys.version_info[:2] != NEEDED:
        needed, actual = (".".join(map(str, version)) for version in (NEEDED, sys.version_info[:3]))
        _refuse(f"Python {needed} is needed, this is {actual}")


def main_of(module: str) -> Callable[[], None]:
    """Imports a command line and returns its `main`; ends the process with exit code 1 if packages are missing.

    Args:
        module: such as "pipeline.local.cli".
    """
    check_python()
    try:
        main: Callable[[], None] = importlib.import_module(module).main
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not is_incomplete(error):
            raise
        _refuse(_first_line(error))
    return main


def is_incomplete(error: BaseException) -> bool:
    """Whether an import failed because packages are missing or incomplete."""
    if isinstance(error, AttributeError):  # caused by an empty folder or file, or another version
        package = getattr(error, "obj", None)
        return isinstance(package, ModuleType) and not package.__name__.startswith(PACKAGES)
    if isinstance(error, SyntaxError):  # a file that was cut short
        return not str(error.filename).startswith(str(PROJECT_DIR) + os.sep) or ENVIRONMENT in str(
            error.filename
        )
    return isinstance(error, ImportError) and not str(error.name).startswith(PACKAGES)


def remedy() -> str:
    """What to do about missing packages, for the current interpreter."""
    if os.path.realpath(sys.prefix) == os.path.realpath(ENVIRONMENT):
        return f"{ENVIRONMENT} is incomplete: remove it, and run `make setup` in {PROJECT_DIR}"
    python = os.path.join(ENVIRONMENT, "bin", "python")
    again = " ".join(map(shlex.quote, [python, *sys.argv]))
    return f"{sys.executable} does not have this project's environment: run `make setup` in {PROJECT_DIR}, then {again}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _refuse(reason: str) -> NoReturn:
    sys.stderr.write(f"error: {reason}; {remedy()}\n")
    sys.exit(1)
