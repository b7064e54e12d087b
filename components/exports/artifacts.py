"""The Exporter's output artifact."""

from __future__ import annotations

from tfx.types import artifact


class ExportedModel(artifact.Artifact):
    """The accepted variants with the files shipped with them, and `<uri>/export.json` (`components.exports.report`).

    Custom properties: `refused` (the reasons, "" if every variant was accepted) and `destination` (the
    folder they were shipped to, "" if none was).
    """

    TYPE_NAME = "pipeline.ExportedModel"  # Kubeflow accepts only names with a namespace


DESTINATION = "destination"
