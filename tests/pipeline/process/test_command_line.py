"""External failures end a command line with one line on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

import pytest
import typer

from models.errors import GateRefused
from pipeline.process.command_line import call


def full_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/shard")


def closed_connection() -> None:
    raise ConnectionResetError("peer is gone")


def missing_package() -> None:
    import no_such_package  # type: ignore[import-not-found]  # noqa: F401


def end_of_input() -> None:
    raise typer.Abort


def refusal() -> None:
    raise GateRefused("accuracy is too low")


def ctrl_c() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("command", "code", "line"),
    [
        (full_disk, 1, "error: /data/shard: No space left on device"),
        (closed_connection, 1, "error: peer is gone"),
        (missing_package, 1, "error: No module named 'no_such_package'; "),
        (end_of_input, 1, "error: nothing was done, because it was not confirmed"),
        (refusal, 3, "error: accuracy is too low"),
        (ctrl_c, 130, ""),
    ],
)
def test_command_that_is_stopped_ends_with_one_line(
    monkeypatch, capsys, command: Callable[[], None], code: int, line: str
):
    app = typer.Typer()
    app.command()(command)
    monkeypatch.setattr(sys, "argv", ["runner.py"])
    with pytest.raises(SystemExit) as ended:
        call(app)
    err = capsys.readouterr().err
    assert ended.value.code == code
    assert err.startswith(line)
    assert len(err.splitlines()) == bool(line)
