"""The SecondPusher's output artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tfx.types import artifact


class SecondPushes(artifact.Artifact):
    """The destinations that a version was pushed to, `<uri>/pushes.json`: destination -> address."""

    TYPE_NAME = "pipeline.SecondPushes"  # Kubeflow accepts only names with a namespace


REPORT_FILE = "pushes.json"


def write_pushes(folder: Path, addresses: Mapping[str, str]) -> None:
    """Writes pushes.json: destination -> address of what was pushed there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT_FILE).write_text(json.dumps(dict(addresses), indent=2) + "\n", encoding="utf-8")
