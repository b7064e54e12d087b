"""Artifacts passed between Kubeflow's launcher and TFX executors, in both directions."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb
from tfx.types import standard_artifacts

from models.errors import GateRefused, PipelineError
from pipeline.kubeflow.entrypoint import _refuse_unpushed, _set_at
from pipeline.kubeflow.step import artifacts

EXAMPLES = "tfx.types.standard_artifacts.Examples"
MODEL = "tfx.types.standard_artifacts.Model"


def lists(**several: dict) -> dict[str, pb.ArtifactList]:
    return {
        key: pb.ArtifactList(artifacts=[json_format.ParseDict(a, pb.RuntimeArtifact())])
        for key, a in several.items()
    }


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("minio://mlpipeline/v2/artifacts/x", "/minio/mlpipeline/v2/artifacts/x"),
        ("s3://bucket/x", "/s3/bucket/x"),
        ("gs://bucket/x", "/gcs/bucket/x"),
        ("/mnt/x", "/mnt/x"),
    ],
)
def test_launcher_keeps_a_uri_at(uri, path):
    assert artifacts.local_path(pb.RuntimeArtifact(uri=uri)) == path


def test_custom_path_wins():
    assert artifacts.local_path(pb.RuntimeArtifact(uri="s3://b/x", custom_path="/here")) == "/here"


def test_workers_on_other_machines_get_the_uri_of_the_object_store():
    given = lists(examples={"name": "12", "uri": "gs://bucket/x"})
    read = artifacts.read_inputs(given, {"examples": EXAMPLES}, artifacts.remote_path)
    assert read["examples"][0].uri == "gs://bucket/x"


def test_uri_that_workers_on_other_machines_cannot_open():
    given = lists(examples={"name": "12", "uri": "minio://bucket/x"})
    with pytest.raises(
        PipelineError, match="beam: this step's workers are on other machines and cannot read minio"
    ):
        artifacts.read_inputs(given, {"examples": EXAMPLES}, artifacts.remote_path)


def test_input_without_a_type_gets_class_id_path_and_properties():
    given = lists(
        examples={
            "name": "12",
            "uri": "minio://b/x",
            "metadata": {
                "split_names": '["train", "eval"]',
                "version": 0.0,
                "span": 3.0,
                "ratio": 0.5,
                "rows": {"list": [1.0, 2.0]},
                "display_name": "examples",
                "nothing": None,
            },
        }
    )
    (examples,) = artifacts.read_inputs(given, {"examples": EXAMPLES})["examples"]
    assert isinstance(examples, standard_artifacts.Examples)
    assert (examples.id, examples.uri) == (12, "/minio/b/x")
    assert examples.split_names == '["train", "eval"]'
    assert examples.span == 3
    assert examples.get_float_custom_property("ratio") == 0.5
    assert examples.get_json_value_custom_property("rows") == [1.0, 2.0]
    assert not examples.has_custom_property("display_name")


def test_input_that_its_producer_marked_absent_is_left_out():
    given = lists(baseline_model={"name": "7", "uri": "minio://b/x", "metadata": {"absent": 1.0}})
    assert artifacts.read_inputs(given, {"baseline_model": MODEL}) == {"baseline_model": []}


def test_optional_input_that_is_not_given_has_no_key():
    assert artifacts.read_inputs({}, {"baseline_model": MODEL}) == {}


def test_outputs_go_back_under_the_uri_that_was_given_and_without_nulls():
    planned = lists(
        examples={"name": "examples", "uri": "minio://b/out", "type": {"schemaTitle": "tfx.Examples"}},
        **{"executor-logs": {"uri": "minio://b/logs", "type": {"schemaTitle": "system.Artifact"}}},
    )
    made = artifacts.make_outputs(planned, {"examples": EXAMPLES})
    (examples,) = made["examples"]
    assert examples.uri == "/minio/b/out"
    examples.split_names = '["train"]'
    examples.set_int_custom_property("rows", 5)
    examples.set_json_value_custom_property("found", {"a": 1, "b": None})
    returned = json_format.MessageToDict(artifacts.executor_output(planned, made))
    assert list(returned["artifacts"]) == ["examples"]
    (told,) = returned["artifacts"]["examples"]["artifacts"]
    assert told["uri"] == "minio://b/out"
    assert told["metadata"] == {"split_names": '["train"]', "rows": 5.0, "found": {"a": 1.0}}


def test_parameter_of_a_run_is_set_inside_the_json_of_a_property():
    properties = {"custom_config": json.dumps({"train": {"epochs": 3.0, "seed": 0}}), "run_fn": "f"}
    _set_at(properties, ["custom_config", "train", "epochs"], 1.0)
    assert json.loads(properties["custom_config"]) == {"train": {"epochs": 1.0, "seed": 0}}
    _set_at(properties, ["run_fn"], "g")
    assert properties["run_fn"] == "g"


def test_model_that_was_not_pushed_fails_the_step():
    pushed = standard_artifacts.PushedModel()
    pushed.set_int_custom_property("pushed", 1)
    _refuse_unpushed({"pushed_model": [pushed]})
    pushed.set_int_custom_property("pushed", 0)
    with pytest.raises(GateRefused, match="nothing was pushed"):
        _refuse_unpushed({"pushed_model": [pushed]})
