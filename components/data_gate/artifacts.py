"""The data gate's output artifact."""

from __future__ import annotations

from tfx.types import artifact


class DataGateReport(artifact.Artifact):
    """Findings of the data gate, `<uri>/report.json` (see `components.data_gate.report`)."""

    TYPE_NAME = "pipeline.DataGateReport"  # Kubeflow accepts only names with a namespace


ROWS_PROPERTY = "rows"  # custom property, int: total rows of all splits
WARNINGS_PROPERTY = "warnings"  # custom property, int: findings that did not stop the run
