"""Rows without a label reach the metrics, however they are divided into batches."""

from __future__ import annotations

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from tensorflow_model_analysis.api.types import VarLenTensorValue
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from components.evaluator.eval_model import custom_extractors


def batch(*labels: list[str]) -> dict:
    """Extracts of rows with these labels, as they are before they are divided into rows."""
    values = np.array([label for row in labels for label in row], object)
    places = [[i, j] for i, row in enumerate(labels) for j in range(len(row))]
    shape = np.array([len(labels), max(map(len, labels))])
    column = VarLenTensorValue(values, np.array(places, np.int64).reshape(-1, 2), shape)
    scores = np.full([len(labels), 2], 0.5, np.float32)
    return {"labels": column, "features": {"label": column}, "predictions": {"probabilities": scores}}


@pytest.mark.parametrize("batches", [[[[]]], [[["a"], []]], [[["a"]], [[]], [[], []], [["a", "b"]]]])
def test_every_row_has_labels_if_only_none(batches: list[list[list[str]]]) -> None:
    config = EvalConfig()
    config.model_specs.add(label_key="label")
    stages = custom_extractors(None, config, None)
    names = [stage.stage_name for stage in stages]
    rows_on = stages[names.index("ExtractUnbatchedInputs") : names.index("FillMissingLabels") + 1]
    assert len(rows_on) == 2
    with TestPipeline(runner="BundleBasedDirectRunner") as pipeline:
        rows = pipeline | beam.Create([batch(*labels) for labels in batches])
        for stage in rows_on:
            rows |= stage.stage_name >> stage.ptransform
        found = rows | beam.Map(lambda row: sorted(row["labels"].tolist()))
        assert_that(found, equal_to([sorted(labels) for rows in batches for labels in rows]))
