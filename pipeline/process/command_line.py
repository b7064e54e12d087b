"""Runs a command line of this project: errors that a user can cause become one line and an exit code."""

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
    "Exit codes: 0 done, 2 invalid command line or config, 3 rejected by a gate, 130 Ctrl-C, 1 any other failure "
    "(docs/exit_codes.md)."
)


def call(app: typer.Typer) -> NoReturn:
    """Runs the sub-command that `sys.argv` names and exits.

    A `PipelineError`, an argument that is unknown, missing or of the wrong type, a file that cannot be read or
    written, and a package that is not installed are reported in one line on stderr. docs/exit_codes.md lists the exit
    codes.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr does: a file name or label that the terminal cannot encode must not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        exit_code = app(standalone_mode=False)
    except PipelineError as error:
        _print_error(str(error))
        exit_code = error.exit_code
    except typer.TyperException as error:
        _print_usage_error(error)
        exit_code = error.exit_code
    except typer.Abort:  # the input ended at a question
        _print_error("nothing was done, because it was not confirmed")
        exit_code = 1
    except OSError as error:
        file = "" if error.filename is None else f"{error.filename}: "
        _print_error(f"{file}{error.strerror or error}")
        exit_code = 1
    except ImportError as error:
        if not is_incomplete(error):
            raise
        _print_error(f"{error}; {remedy()}")
        exit_code = 1
    sys.exit(exit_code or 0)


def _print_error(message: str) -> None:
    """Prints one red line on stderr."""
    Console(stderr=True).print(Text(f"error: {message}", "bold red"), soft_wrap=True)


def _print_usage_error(error: typer.TyperException) -> None:
    message = " ".join(error.format_message().split())
    if not message:  # without arguments, the help has been printed
        return
    context = getattr(error, "ctx", None)
    hint = f"; see {context.command_path} --help" if context is not None else ""
    _print_error(message.rstrip(".") + hint)


def to_paste(*arguments: str) -> str:
    """A call of the local runner that can be pasted into a shell in the current folder.

    `to_paste("serve", "my models/a.yaml") -> ".venv/bin/python runner_local.py serve 'my models/a.yaml'"`
    """
    # Not `samefile`: the python of a virtual environment is a link to the machine's.
    activated = os.path.abspath(shutil.which("python") or "") == sys.executable
    python = "python" if activated else _from_here(Path(sys.executable))
    return shlex.join([python, _from_here(PROJECT_DIR / "runner_local.py"), *arguments])


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
