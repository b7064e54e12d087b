"""What the second pushes leave behind."""

from __future__ import annotations

from tfx.types import artifact


class SecondPushes(artifact.Artifact):
    """Where the version went besides, `<uri>/pushes.json`: destination -> address of what was pushed."""

    TYPE_NAME = "pipeline.SecondPushes"  # Kubeflow takes names with a namespace only


REPORT_FILE = "pushes.json"
