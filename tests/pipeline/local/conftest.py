"""The smallest config that the command line accepts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.local import cli

CONFIG = """\
name: tiny
data:
  path: data
  schema: schema.pbtxt
  label_list: labels.txt
model:
  checkpoint: {path: checkpoint}
evaluate:
  thresholds:
    accuracy: {min: 0.5}
push:
  serving_dir: serving
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """tiny.yaml in the test's folder; nothing that it names is there."""
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Calls the command line in this process: (exit code, stdout, stderr)."""

    def _call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["runner_local.py", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capfd.readouterr()
        return ended.value.code or 0, told.out, told.err

    return _call
