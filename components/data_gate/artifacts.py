"""What the data gate hands on."""

from __future__ import annotations

from tfx.types import artifact


class DataGateReport(artifact.Artifact):
    """Findings of the data gate, `<uri>/report.json` (see `components.data_gate.report`)."""

    TYPE_NAME = "pipeline.DataGateReport"  # Kubeflow takes names with a namespace only


ROWS_PROPERTY = "rows"  # custom property, int: rows of all splits
WARNINGS_PROPERTY = "warnings"  # custom property, int: findings that did not stop the run
