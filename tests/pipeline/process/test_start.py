"""A runner whose interpreter lacks something says so in one line, with the command to run."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from components.project import PROJECT_DIR
from pipeline.local.failures import NodeFailed, explain
from pipeline.process import start

RUNNERS = ("runner_local.py", "runner_kubeflow.py")
OTHER_PYTHON = [sys.executable, "-S"]  # without site-packages


def call(command: list[str], folder: Path, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("runner", RUNNERS)
def test_interpreter_without_the_packages_is_told_make_setup_and_the_command(runner, tmp_path):
    code, out, err = call([*OTHER_PYTHON, str(PROJECT_DIR / runner), "config", "my file.yaml"], tmp_path)
    assert (code, out) == (1, "")
    assert err == (
        f"error: No module named 'typer'; {sys.executable} does not have this project's environment: run `make setup` in "
        f"{PROJECT_DIR}, then {PROJECT_DIR}/.venv/bin/python {PROJECT_DIR}/{runner} config 'my file.yaml'\n"
    )


@pytest.mark.parametrize("content", [None, "", "def broken("])
@pytest.mark.parametrize("runner", RUNNERS)
def test_package_that_is_only_half_there_is_told_too(runner, content, tmp_path):
    (tmp_path / "typer").mkdir()
    if content is not None:
        (tmp_path / "typer" / "__init__.py").write_text(content)
    code, _, err = call([*OTHER_PYTHON, str(PROJECT_DIR / runner)], tmp_path, PYTHONPATH=str(tmp_path))
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "run `make setup` in" in err


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("safe", ["", "1"])
def test_runner_starts_from_any_folder(runner, safe, tmp_path):
    command = [sys.executable, str(PROJECT_DIR / runner), "--help"]
    code, out, err = call(command, tmp_path, PYTHONSAFEPATH=safe)
    assert (code, err) == (0, "")
    assert "Exit codes: 0 done," in " ".join(out.split())


@pytest.mark.parametrize("version", [(3, 8, 10), (3, 12, 1)])
def test_another_python_is_refused(version, monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit) as ended:
        start.main_of("pipeline.local.cli")
    told = ".".join(map(str, version))
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: Python 3.11 is needed, this is {told}; ")


def test_start_is_read_by_an_old_python_too():
    """Python 3.6 knows neither `from __future__ import annotations` nor `X | None`: it must come to its message."""
    import ast

    for name in (*RUNNERS, "pipeline/process/start.py", "pipeline/__init__.py"):
        text = (PROJECT_DIR / name).read_text()
        ast.parse(text, feature_version=(3, 6))
        assert "from __future__" not in text


def test_the_projects_own_environment_is_told_to_be_made_anew(monkeypatch):
    monkeypatch.setattr(sys, "prefix", start.ENVIRONMENT)
    assert start.remedy() == (
        f"{PROJECT_DIR}/.venv is incomplete: remove it, and run `make setup` in {PROJECT_DIR}"
    )


def test_an_error_of_our_own_is_no_incomplete_environment():
    assert start.is_incomplete(ImportError("cannot import name 'x' from 'numpy'", name="numpy"))
    assert not start.is_incomplete(ImportError("cannot import name 'x'", name="pipeline.config"))
    assert not start.is_incomplete(
        AttributeError("no", name="x", obj=types.ModuleType("components.settings"))
    )
    assert not start.is_incomplete(AttributeError("no", name="x", obj=3))
    assert not start.is_incomplete(SyntaxError("no", (str(PROJECT_DIR / "pipeline/config.py"), 1, 1, "")))
    assert not start.is_incomplete(KeyError("x"))


def test_package_that_a_node_misses_is_told_with_the_remedy():
    failed = NodeFailed("Trainer")
    failed.__cause__ = ModuleNotFoundError("No module named 'tensorflow_text'", name="tensorflow_text")
    reason = explain(failed, Path("1.log")).reason
    assert reason.startswith(
        "node Trainer failed: ModuleNotFoundError: No module named 'tensorflow_text' (details: 1.log); "
    )
    assert reason.endswith(start.remedy())
