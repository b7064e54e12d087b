"""How a command line of this project ends: the error of a user is one line, with its exit code."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

from components.project import PROJECT_DIR
from models.errors import PipelineError
from pipeline.process.start import is_incomplete, remedy

EXIT_CODES = (
    "Exit codes: 0 done, 2 wrong command line or config, 3 refused by a gate, 130 Ctrl-C, 1 anything else "
    "(docs/exit_codes.md)."
)


def call(app: typer.Typer) -> NoReturn:
    """Calls the sub-command that `sys.argv` names and exits: 2 for arguments that it does not take.

    A `PipelineError`, an argument that is unknown, missing or of the wrong type, a file that cannot be read or
    written and a package that is not installed are one line on stderr. docs/exit_codes.md has the codes.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr does: a file name or label that the terminal's encoding lacks must not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        exit_code = app(standalone_mode=False)
    except PipelineError as error:
        _print_error(str(error))
        exit_code = error.exit_code
    except typer.TyperException as error:
        _print_usage_error(error)
        exit_code = error.exit_code
    except typer.Abort:  # the answer to a question was the end of the input
        _print_error("nothing was done: it was not confirmed")
        exit_code = 1
    except OSError as error:
        named = "" if error.filename is None else f"{error.filename}: "
        _print_error(f"{named}{error.strerror or error}")
        exit_code = 1
    except ImportError as error:
        if not is_incomplete(error):
            raise
        _print_error(f"{error}; {remedy()}")
        exit_code = 1
    sys.exit(exit_code or 0)


def _print_error(message: str) -> None:
    """One red line on stderr."""
    Console(stderr=True).print(Text(f"error: {message}", "bold red"), soft_wrap=True)


def _print_usage_error(error: typer.TyperException) -> None:
    message = " ".join(error.format_message().split())
    if not message:  # without arguments: the help was printed
        return
    context = getattr(error, "ctx", None)
    hint = f"; see {context.command_path} --help" if context is not None else ""
    _print_error(message.rstrip(".") + hint)


def to_paste(*arguments: str) -> str:
    """A call of the local runner that a shell takes as it is, from the current folder.

    `to_paste("serve", "my models/a.yaml") -> ".venv/bin/python runner_local.py serve 'my models/a.yaml'"`
    """
    # Not `samefile`: the python of a virtual environment is a link to the machine's.
    activated = os.path.abspath(shutil.which("python") or "") == sys.executable
    python = "python" if activated else _from_here(Path(sys.executable))
    return shlex.join([python, _from_here(PROJECT_DIR / "runner_local.py"), *arguments])


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
