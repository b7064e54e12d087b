"""The SecondPusher's output artifact."""

from __future__ import annotations

from tfx.types import artifact


class SecondPushes(artifact.Artifact):
    """The destinations that a version was pushed to, `<uri>/pushes.json`: destination -> address."""

    TYPE_NAME = "pipeline.SecondPushes"  # Kubeflow accepts only names with a namespace


REPORT_FILE = "pushes.json"
