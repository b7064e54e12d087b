"""The smallest config that the command line takes."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFIG = """\
name: tiny
data:
  path: data
  schema: schema.pbtxt
  labels: labels.txt
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
