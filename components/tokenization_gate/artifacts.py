"""The output of the tokenization gate."""

from __future__ import annotations

from tfx.types import artifact


class TokenizationReport(artifact.Artifact):
    """Result of the comparison, `<uri>/report.json` (see `components.tokenization_gate.report`)."""

    TYPE_NAME = "pipeline.TokenizationReport"  # Kubeflow requires a namespace


ROWS_PROPERTY = "rows"  # custom property, int: rows compared
MISMATCHES_PROPERTY = "mismatches"  # custom property, int: rows that differ
