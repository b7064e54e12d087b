"""`compile --target vertex` writes a job that Vertex AI's messages, SDK and documented rules accept."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

from pipeline.config import load_config
from pipeline.kubeflow.compiler.package import compile_job, write_job
from pipeline.kubeflow.compiler.vertex import amount, label_value
from pipeline.kubeflow_settings import VERTEX_ACCELERATORS
from tests.support.kubeflow.vertex_rules import refusals
from tests.support.kubeflow.workplace import write_workplace

CONFIG = """\
name: my_model
data: {path: data, schema: schema.pbtxt, label_list: labels.txt}
model: {checkpoint: {path: encoder}}
evaluate: {thresholds: {accuracy: {min: 0.5}}}
push: {serving_dir: serving}
kubeflow:
  data_path: /gcs/my-bucket/data
  serving_dir: /gcs/my-bucket/serving
  defaults: {cpu: 500m, memory: 2Gi, retries: 1}
  steps:
    Trainer: {cpu: 8, memory: 16Gi, gpu: {type: NVIDIA_L4, count: 2}, env: {XLA_FLAGS: --xla}}
    TFRecordExampleGen: {gpu: {type: NVIDIA_TESLA_T4}}
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_workplace(tmp_path_factory.mktemp("workplace"), CONFIG)


@pytest.fixture(scope="module")
def written(workplace: Path) -> Path:
    config = load_config(workplace / "my.yaml")
    image = "europe-docker.pkg.dev/p/r/i:1"
    job = compile_job(config, image, workplace / "encoder", workplace, "gs://my-bucket/runs")
    write_job(workplace / "job.json", job)
    return workplace / "job.json"


@pytest.fixture
def job(written: Path) -> dict[str, Any]:
    return json.loads(written.read_text())


def container(job: dict[str, Any], step: str) -> dict[str, Any]:
    return job["pipelineSpec"]["deploymentSpec"]["executors"][f"{step}_executor"]["container"]


def test_job_is_accepted(job):
    assert refusals(job) == []


def test_job_names_bucket_pipeline_and_versions(job):
    assert job["displayName"] == "my-model"
    assert job["labels"] == {"pipeline": "my-model", "sdk": "tfx-1-21-0"}
    assert job["runtimeConfig"] == {"gcsOutputDirectory": "gs://my-bucket/runs", "parameterValues": {}}
    assert job["pipelineSpec"]["schemaVersion"] == "2.1.0"


def test_resources_are_numbers_and_names_of_vertex(job):
    assert container(job, "Trainer")["resources"] == {
        "cpuLimit": 8.0,
        "memoryLimit": 17.179869184,
        "accelerator": {"type": "NVIDIA_L4", "count": "2"},
    }
    assert container(job, "Transform")["resources"] == {"cpuLimit": 0.5, "memoryLimit": 2.147483648}


def test_probe_gets_no_accelerator(job):
    assert "accelerator" in container(job, "TFRecordExampleGen")["resources"]
    assert "accelerator" not in container(job, "TFRecordExampleGen-probe")["resources"]


def test_steps_are_those_of_a_cluster(job):
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    assert {"DataGate", "Baseline", "Evaluator", "Canary", "Pusher"} < tasks.keys()
    assert tasks["Trainer"]["retryPolicy"]["maxRetryCount"] == 1
    assert container(job, "Trainer")["command"] == ["python", "-m", "pipeline.kubeflow.entrypoint"]


def test_google_s_own_sdk_loads_the_job(written):
    loaded = aiplatform.PipelineJob(
        display_name="from the SDK",
        template_path=str(written),
        parameter_values={"learning_rate": 0.001},
        project="my-project",
        location="europe-west4",
        credentials=AnonymousCredentials(),
    )
    resource = loaded._gca_resource  # what submit() would send; public only once it was sent
    assert resource.runtime_config.gcs_output_directory == "gs://my-bucket/runs"
    assert dict(resource.runtime_config.parameter_values) == {"learning_rate": 0.001}


def break_accelerator(job: dict[str, Any]) -> None:
    container(job, "Trainer")["resources"]["accelerator"]["type"] = "nvidia.com/gpu"


def break_resources(job: dict[str, Any]) -> None:
    container(job, "Trainer")["resources"]["resourceCpuLimit"] = "8"


BROKEN = [
    (lambda j: j.update(note="x"), 'no field named "note"'),
    (lambda j: j["pipelineSpec"].update(note="x"), 'no field named "note"'),
    (lambda j: j["labels"].update(sdk="TFX 1.21"), "label sdk=TFX 1.21"),
    (lambda j: j["runtimeConfig"].update(gcsOutputDirectory="minio://b/r"), "is no folder of a bucket"),
    (lambda j: j["runtimeConfig"]["parameterValues"].update(depth=3), "'depth' is not declared"),
    (lambda j: j["pipelineSpec"]["components"].pop("Trainer"), "component ref 'Trainer' not found"),
    (break_accelerator, "unknown accelerator 'nvidia.com/gpu'"),
    (break_resources, "resourceCpuLimit is Kubernetes'"),
]


@pytest.mark.parametrize(("damage", "reason"), BROKEN, ids=[reason for _, reason in BROKEN])
def test_broken_job_is_refused(job, damage, reason):
    broken = copy.deepcopy(job)
    damage(broken)
    problems = refusals(broken)
    assert any(reason in problem for problem in problems), problems


def test_accelerators_are_those_of_the_api():
    from google.cloud.aiplatform_v1.types import AcceleratorType

    assert {kind.name for kind in AcceleratorType} > set(VERTEX_ACCELERATORS)


@pytest.mark.parametrize(
    ("quantity", "number"), [("500m", 0.5), ("2", 2.0), ("1.5", 1.5), ("16Gi", 17179869184.0), ("3M", 3e6)]
)
def test_quantities_are_numbers(quantity, number):
    assert amount(quantity) == number


def test_label_is_lower_case_and_short():
    assert label_value("TFX/1.21" + "x" * 80) == "tfx-1-21" + "x" * 55
