"""The rules of Vertex AI Pipelines, checked without Google Cloud.

The messages are Vertex AI's own (google-cloud-aiplatform) and the PipelineSpec's, parsed strictly; the rules
beyond them are those of the API's reference for PipelineJob and of its Python SDK. What no document says,
such as which machine fits which accelerator, is not checked.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import yaml
from google.cloud.aiplatform_v1.types import AcceleratorType, PipelineJob
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from tests.support.kubeflow.acceptance import refusals as spec_refusals

_PIPELINE_NAME = re.compile(r"[a-z0-9][-a-z0-9]{0,127}")  # it names the metadata context
_LABEL = re.compile(r"[-_a-z0-9]{0,63}")
_LABEL_KEY = re.compile(r"[a-z][-_a-z0-9]{0,62}")
_BUCKET = re.compile(r"gs://[a-z0-9][-_.a-z0-9]+(/.*)?")
_QUANTITIES = {"resourceCpuLimit", "resourceCpuRequest", "resourceMemoryLimit", "resourceMemoryRequest"}


def refusals(job: dict[str, Any]) -> list[str]:
    """Returns why Vertex AI would not take the job, as JSON values; empty when it would."""
    try:
        json_format.ParseDict(job, PipelineJob.pb()())
        spec = json_format.ParseDict(job["pipelineSpec"], pb.PipelineSpec())
        json_format.ParseDict(job["pipelineSpec"]["deploymentSpec"], pb.PipelineDeploymentConfig())
    except json_format.ParseError as error:
        return [f"not a PipelineJob: {error}"]
    return [*_job_problems(job, spec), *_executor_problems(job["pipelineSpec"]), *_same_as_kubeflow(job)]


def _job_problems(job: dict[str, Any], spec: pb.PipelineSpec) -> Iterator[str]:
    if not job.get("displayName") or len(job["displayName"]) > 128:
        yield "displayName must have 1 to 128 characters"
    if not _PIPELINE_NAME.fullmatch(spec.pipeline_info.name):
        yield f"pipelineInfo.name {spec.pipeline_info.name!r}: lower case letters, digits and -, at most 128"
    if spec.schema_version not in ("2.0.0", "2.1.0") or not spec.sdk_version:
        yield f"schemaVersion {spec.schema_version!r}, sdkVersion {spec.sdk_version!r}"
    for key, value in job.get("labels", {}).items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL.fullmatch(value):
            yield f"label {key}={value}: lower case letters, digits, _ and -, at most 63"
    config = job.get("runtimeConfig", {})
    if not _BUCKET.fullmatch(config.get("gcsOutputDirectory", "")):
        yield f"gcsOutputDirectory {config.get('gcsOutputDirectory')!r} is no folder of a bucket"
    if "parameters" in config and spec.schema_version == "2.1.0":
        yield "runtimeConfig.parameters is for schema 2.0.0, 2.1.0 takes parameterValues"
    for name in config.get("parameterValues", {}):
        if name not in spec.root.input_definitions.parameters:
            yield f"parameter {name!r} is not declared by the pipeline"


def _executor_problems(spec: dict[str, Any]) -> Iterator[str]:
    types = {kind.name for kind in AcceleratorType} - {"ACCELERATOR_TYPE_UNSPECIFIED"}
    for label, executor in spec["deploymentSpec"]["executors"].items():
        resources = executor["container"].get("resources", {})
        for name in sorted(_QUANTITIES & resources.keys()):
            yield f"{label}: {name} is Kubernetes', Vertex AI reads cpuLimit and memoryLimit"
        for name in ("cpuLimit", "memoryLimit"):
            if not 0 < resources.get(name, 1) < 10_000:
                yield f"{label}: {name} {resources[name]} is no number of CPUs or GB"
        accelerator = resources.get("accelerator")
        if accelerator and (accelerator["type"] not in types or int(accelerator["count"]) < 1):
            yield f"{label}: unknown accelerator {accelerator['type']!r}"


def _same_as_kubeflow(job: dict[str, Any]) -> list[str]:
    """Tasks, parameters and artifacts follow the same rules on both; resources do not."""
    spec = copy.deepcopy(job["pipelineSpec"])
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"].pop("resources", None)
    return spec_refusals(yaml.safe_dump(spec))
