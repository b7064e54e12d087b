"""Settings that a target does not support are refused by key, before TensorFlow is imported."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from models.errors import UsageError
from pipeline.kubeflow.cli import app
from pipeline.kubeflow.compiler.targets import Target, check_pipeline_root

CONFIG = """\
name: tiny
data: {path: rows, schema: schema.pbtxt, label_list: labels.txt}
model: {checkpoint: {path: encoder}}
evaluate: {thresholds: {accuracy: {min: 0.5}}}
push: {serving_dir: serving}
kubeflow: {data_path: /gcs/my-bucket/data, serving_dir: /gcs/my-bucket/serving}
"""
VERTEX = ("--target", "vertex", "--pipeline-root", "gs://my-bucket/runs")


@pytest.fixture
def compile_error(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG)

    def _compile_error(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["compile", str(path), "--image", "registry/name:1", *arguments])
        assert isinstance(result.exception, UsageError), result.output
        assert len(str(result.exception).splitlines()) == 1
        return str(result.exception)

    return _compile_error


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("volumes=[{claim: models, mount_path: /mnt}]", "kubeflow.volumes: not supported by Vertex AI"),
        ("secrets=[{name: key, mount_path: /keys}]", "kubeflow.secrets: not supported by Vertex AI"),
        ("image_pull_secrets=[registry]", "kubeflow.image_pull_secrets: not supported by Vertex AI"),
        ("image_pull_policy=Always", "kubeflow.image_pull_policy: not supported by Vertex AI"),
        ("defaults.memory_request=2Gi", "kubeflow.defaults.memory_request: not supported by Vertex AI"),
        (
            "steps.Trainer={node_selector: {a: b}}",
            "kubeflow.steps.Trainer.node_selector: not supported by Vertex AI",
        ),
        (
            "steps.Trainer={deadline_seconds: 9}",
            "kubeflow.steps.Trainer.deadline_seconds: not supported by Vertex AI",
        ),
        (
            "steps.Trainer={shared_memory: 2Gi}",
            "kubeflow.steps.Trainer.shared_memory: not supported by Vertex AI",
        ),
        (
            "steps.Trainer={gpu: {count: 1}}",
            "kubeflow.steps.Trainer.gpu.type: 'nvidia.com/gpu' is a Kubernetes resource name",
        ),
    ],
)
def test_setting_without_a_place_on_vertex(compile_error, override, reason):
    assert reason in compile_error(*VERTEX, "--set", f"kubeflow.{override}")


def test_models_on_vertex_are_served_from_a_bucket(compile_error):
    volume = "kubeflow.volumes=[{claim: models, mount_path: /mnt}]"
    folder = "kubeflow.serving_dir=/mnt/serving"
    assert "kubeflow.volumes" in compile_error(*VERTEX, "--set", volume, "--set", folder)
    assert "'/gcs' is not below a mount_path" in compile_error(*VERTEX, "--set", "kubeflow.serving_dir=/gcs")


def test_bucket_of_vertex_is_nothing_on_a_cluster(compile_error):
    assert "kubeflow.data_path: '/gcs/my-bucket/data' is where Vertex AI mounts a bucket" in compile_error()


def test_accelerator_of_vertex_is_unknown_to_a_cluster(compile_error):
    error = compile_error("--set", "kubeflow.steps.Trainer.gpu={type: NVIDIA_L4}")
    assert "kubeflow.steps.Trainer.gpu.type: 'NVIDIA_L4' is a name of Vertex AI" in error


@pytest.mark.parametrize("uri", ["minio://b/r", "gs://", "gs://my bucket/r", "/runs", "bucket/runs"])
def test_pipeline_root_that_steps_on_vertex_cannot_write(compile_error, uri):
    error = compile_error("--target", "vertex", "--pipeline-root", uri)
    assert error == f"--pipeline-root: steps cannot write to {uri!r}; give gs://BUCKET/FOLDER"


def test_missing_pipeline_root(compile_error):
    assert compile_error("--target", "vertex") == "--pipeline-root: it is missing; give gs://BUCKET/FOLDER"


def test_pipeline_root_of_a_cluster_is_not_compiled_in(compile_error):
    assert "--pipeline-root needs --target vertex" in compile_error("--pipeline-root", "gs://b/r")


def test_pipeline_roots_of_a_cluster():
    for uri in ("minio://mlpipeline/v2/artifacts", "s3://bucket/runs", "gs://bucket"):
        check_pipeline_root(uri, Target.KUBEFLOW)
    with pytest.raises(UsageError, match=r"'file:///runs'; give minio://BUCKET/FOLDER or s3://"):
        check_pipeline_root("file:///runs", Target.KUBEFLOW)


def test_file_name_has_the_target_s_ending(compile_error):
    assert "is JSON; use a name like job.json" in compile_error(*VERTEX, "-o", "pipeline.yaml")
    assert "is YAML; use a name like pipeline.yaml" in compile_error("-o", "job.json")


def test_an_export_that_needs_another_image_is_said_at_once(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG)
    arguments = ["compile", str(path), "--image", "registry/name:1", *VERTEX]
    plain = CliRunner().invoke(app, arguments)
    assert "TFJS" not in plain.output
    told = CliRunner().invoke(app, [*arguments, "--set", "export.tfjs={}"])
    assert 'BUILD_ARGS="--build-arg TFJS=1" make image IMAGE=registry/name:1' in told.output
