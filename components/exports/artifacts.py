"""What an Exporter leaves behind."""

from __future__ import annotations

from tfx.types import artifact


class ExportedModel(artifact.Artifact):
    """The accepted variants with what ships beside them, and `<uri>/export.json` (`components.exports.report`).

    Custom properties: `refused` (the reasons, "" when every variant was accepted) and `destination` (the
    folder they were shipped to, "" when none was).
    """

    TYPE_NAME = "pipeline.ExportedModel"  # Kubeflow takes names with a namespace only


DESTINATION = "destination"
