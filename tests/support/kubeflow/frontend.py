"""What Kubeflow's run page shows of a step's outputs, checked without a browser.

Written from frontend/src/components/viewers/MetricsVisualizations.tsx (and ROCCurveHelper.tsx,
lib/ReservedArtifactProperties.ts) of kubeflow/pipelines 2.17.0: an artifact is found by the name of its type,
must have a `display_name`, and its properties are read as below. What the page would show as an error is an
AssertionError here.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from ml_metadata.proto import metadata_store_pb2 as mlmd

_NOT_FIGURES = ("display_name", "store_session_info")


def confusion_matrix(artifact: mlmd.Artifact) -> tuple[list[str], list[list[float]]]:
    """Labels, and rows of cells: a row is a true label, a column a predicted one."""
    given = _structure(artifact, "confusionMatrix")["struct"]
    labels = [spec["displayName"] for spec in given["annotationSpecs"]]
    rows = [row["row"] for row in given["rows"]]
    assert all(isinstance(label, str) for label in labels)
    assert all(type(cell) is float for row in rows for cell in row)
    assert len(labels) == len(rows), "annotationSpecs has different length than rows length"
    assert all(len(row) == len(rows) for row in rows), "row has different length of columns from rows"
    return labels, rows


def roc_curve(artifact: mlmd.Artifact) -> list[tuple[float, float, float]] | None:
    """(threshold, false positive rate, recall) of each point; None if there is no curve to draw."""
    if "confidenceMetrics" not in artifact.custom_properties:
        return None
    points = [
        (point["confidenceThreshold"], point["falsePositiveRate"], point["recall"])
        for point in _structure(artifact, "confidenceMetrics")["list"]
    ]
    assert all(type(number) is float for point in points for number in point)
    return points


def figures(artifact: mlmd.Artifact) -> dict[str, float]:
    """Rows of the table "Scalar Metrics": every property but two, and all of them are numbers."""
    assert artifact.custom_properties["display_name"].string_value
    shown = {k: v for k, v in artifact.custom_properties.items() if k not in _NOT_FIGURES}
    assert {value.WhichOneof("value") for value in shown.values()} == {"double_value"}
    return {key: value.double_value for key, value in shown.items()}


def _structure(artifact: mlmd.Artifact, key: str) -> dict[str, Any]:
    assert artifact.custom_properties["display_name"].string_value
    return json_format.MessageToDict(artifact.custom_properties[key].struct_value)
