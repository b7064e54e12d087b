"""`runner_local.py serve` says what it waits for and when it answers, and nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from components.project import PROJECT_DIR
from components.serving.quiet_import import LOG_LEVEL
from tests.e2e.test_pipeline import CONFIG
from tests.support.model_server import NAME, Exported
from tests.support.model_server import push as push_model

LOADED = rf"\S+ \S+ INFO (worker \d: )?{NAME} version 1 loaded in \S+ s\n"
STOPPING = r"\S+ \S+ INFO (worker \d: )?stopping; accepted requests are answered first\n"


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """The process and its stderr."""
    (folder / "my config.yaml").write_text(CONFIG)
    command = [sys.executable, str(PROJECT_DIR / "runner_local.py"), "serve", "my config.yaml", *options]
    command += ["--port", "0", "--grpc-port", "0"]
    environment = {key: value for key, value in os.environ.items() if key != LOG_LEVEL}
    with subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        try:
            yield process, process.stderr
        finally:
            process.kill()


def get(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serving_is_said_when_the_first_version_answers_and_before_that_what_is_waited_for(
    exported: tuple[Exported, Exported], tmp_path: Path, workers: str
) -> None:
    home = tmp_path / "serving"
    (home / NAME).mkdir(parents=True)  # as a push that failed leaves it
    with serving(tmp_path, "--workers", workers) as (process, errors):
        first = errors.readline()
        said = re.fullmatch(
            rf"{re.escape(str(home / NAME))}: nothing has been pushed yet; waiting for the first version "
            r"\(`python runner_local\.py run 'my config\.yaml'` pushes one\)\. "
            r"Until then requests get 503: (REST (http://\S+)/v1/models/tiny, gRPC 127\.0\.0\.1:\d+)\n",
            first,
        )
        assert said is not None, first
        assert get(f"{said[2]}/v2/health/ready") == 503
        push_model(exported[0].path, home)
        lines = [errors.readline() for _ in range(int(workers) + 1)]
        assert get(f"{said[2]}/v2/health/ready") == 200
        processes = " with 2 workers" if workers == "2" else ""
        assert lines[-1] == f"serving {home / NAME}{processes}: {said[1]}\n"
        assert all(re.fullmatch(LOADED, line) for line in lines[:-1]), lines
        process.send_signal(signal.SIGTERM)
        rest = errors.readlines()
        assert process.wait(60) == 0
    assert rest
    assert all(re.fullmatch(STOPPING, line) for line in rest), rest


def test_what_tensorflow_says_is_shown_on_request(
    exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    push_model(exported[0].path, tmp_path / "serving")
    with serving(tmp_path, "--verbose") as (process, errors):
        lines = [next(errors)]
        while not lines[-1].startswith("serving "):
            lines.append(next(errors))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert lines[0] == f"{tmp_path / 'serving' / NAME}: loading the newest version\n"
    assert any(re.match(r"I0000 .*\.cc:\d+\]", line) for line in lines), lines


def test_folder_that_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / NAME).write_text("a file")
    with serving(tmp_path) as (process, errors):
        said = errors.read()
        assert process.wait(60) == 1
    assert said == (
        f"error: {tmp_path / 'serving' / NAME}: cannot be read (Not a directory); check push.serving_dir and the "
        "permissions of the folder\n"
    )
