"""The report's figures on their way to Kubeflow's run page: entry point, launcher, metadata store, frontend."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from kfp import dsl
from kfp.pipeline_spec import pipeline_spec_pb2 as pb
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.types import artifact as tfx_artifact

from components.report.artifacts import ClassificationMetrics, Metrics
from components.report.contents import scalars
from models.tasks.single_label import figures
from pipeline.kubeflow.step.artifacts import executor_output
from tests.components.report.sample import CLASSES, LABEL_IDS, PROBABILITIES, make_contents
from tests.support.kubeflow import frontend
from tests.support.kubeflow.metadata import recorded


def stored(made: tfx_artifact.Artifact) -> mlmd.Artifact:
    """As the metadata store has it, after the step wrote its output file and the launcher read it."""
    planned = {"out": pb.ArtifactList(artifacts=[pb.RuntimeArtifact(name="out", uri="minio://b/out")])}
    text = json_format.MessageToJson(executor_output(planned, {"out": [made]}))
    returned = json_format.Parse(text, pb.ExecutorOutput())
    return recorded(returned.artifacts["out"].artifacts[0], 1, "out")


def logged(log: Any) -> mlmd.Artifact:
    """As the metadata store has what the SDK's own class wrote."""
    metrics = dsl.ClassificationMetrics()
    log(metrics)
    runtime = pb.RuntimeArtifact(name="out", uri="minio://b/out")
    json_format.ParseDict(metrics.metadata, runtime.metadata)
    return recorded(runtime, 1, "out")


@pytest.fixture
def classification() -> mlmd.Artifact:
    made = ClassificationMetrics()
    matrix = figures.confusion_matrix(LABEL_IDS, PROBABILITIES, CLASSES)
    curve = figures.roc_curve(LABEL_IDS, PROBABILITIES, CLASSES)
    made.set_json_value_custom_property("confusionMatrix", figures.confusion_metadata(matrix))
    made.set_json_value_custom_property("confidenceMetrics", figures.roc_metadata(curve))
    return stored(made)


def test_confusion_matrix_arrives_as_the_sdk_class_would_have_sent_it(classification):
    sent = logged(lambda metrics: metrics.log_confusion_matrix(["ham", "spam"], [[3, 1], [1, 2]]))
    assert frontend.confusion_matrix(classification) == (["ham", "spam"], [[3.0, 1.0], [1.0, 2.0]])
    assert frontend.confusion_matrix(classification) == frontend.confusion_matrix(sent)


def test_roc_curve_arrives_as_the_sdk_class_would_have_sent_it(classification):
    drawn = frontend.roc_curve(classification)
    thresholds, fall_out, recall = zip(*drawn, strict=True)
    sent = logged(lambda metrics: metrics.log_roc_curve(list(fall_out), list(recall), list(thresholds)))
    assert (drawn[0], drawn[-1][1:]) == ((1.0, 0.0, 0.0), (1.0, 1.0))
    assert drawn == frontend.roc_curve(sent)


def test_figures_arrive_as_numbers_under_their_names():
    made = Metrics()
    for name, value in scalars(make_contents()).items():
        made.set_float_custom_property(name, value)
    shown = frontend.figures(stored(made))
    assert shown == scalars(make_contents())
    assert (shown["blessed"], shown["accuracy.min"]) == (1.0, 0.7)
