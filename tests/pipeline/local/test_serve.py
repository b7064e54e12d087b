"""`runner_local.py serve` as a process: its messages, its configuration, and how it stops."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.project import PROJECT_DIR

pytestmark = pytest.mark.usefixtures("config_file")


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(PROJECT_DIR / "runner_local.py"), "serve", "tiny.yaml", *options]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_server_with_workers_stops_them_on_sigterm_while_it_waits_for_the_first_version(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, "--port", "0", "--grpc-port", "0", "--workers", "2") as process:
        assert process.stderr is not None
        said = re.match(r"(\S+): nothing has been pushed yet; .*: REST (\S+),", process.stderr.readline())
        assert said is not None
        assert said[1] == str(tmp_path / "serving" / "tiny")
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(said[2], timeout=60)
        assert (error.value.code, error.value.headers["Retry-After"]) == (503, "1")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert [pid for pid in children if Path("/proc", pid).exists()] == []


def test_impossible_number_of_workers_is_a_usage_error(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "0") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "serve.workers" in said
