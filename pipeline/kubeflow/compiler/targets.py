"""The targets of `compile --target`, and the settings that each of them supports.

The `kubeflow` section applies to both; a setting that the target does not support is refused, because otherwise a step
would silently run without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from models.errors import UsageError
from pipeline.kubeflow_settings import (
    VERTEX_ACCELERATORS,
    KubeflowSettings,
    StepSettings,
    in_bucket,
    is_resource_name,
)


class Target(StrEnum):
    """Where a compiled pipeline runs."""

    KUBEFLOW = "kubeflow"
    VERTEX = "vertex"


# Settings that Vertex AI does not support -> what to do instead.
_NOT_ON_VERTEX = {
    "volumes": "it mounts buckets instead: set data_path and serving_dir to /gcs/BUCKET/FOLDER",
    "secrets": "let the job's service account read Secret Manager",
    "image_pull_secrets": "let Vertex AI's service agent read the Artifact Registry repository",
    "image_pull_policy": "it always pulls the image: name the image by digest",
}
_NOT_ON_VERTEX_STEPS = {
    "cpu_request": "set cpu: machines are chosen by limits",
    "memory_request": "set memory: machines are chosen by limits",
    "node_selector": "machines are chosen by cpu, memory and gpu",
    "tolerations": "machines are chosen by cpu, memory and gpu",
    "deadline_seconds": "its steps have no deadline: cancel the job instead",
    "shared_memory": "its size of /dev/shm is fixed",
}

# The URI schemes that each target's launcher can write to.
_SCHEMES = {Target.KUBEFLOW: ("minio", "s3", "gs"), Target.VERTEX: ("gs",)}
_BUCKET_URI = re.compile(r"([a-z0-9]+)://[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9](/[^\s/]+)*/?")


def check_pipeline_root(uri: str, target: Target) -> None:
    """Checks the bucket folder that steps write their outputs to.

    Raises:
        UsageError: steps cannot write there.
    """
    match = _BUCKET_URI.fullmatch(uri)
    if match is None or match[1] not in _SCHEMES[target]:
        problem = f"steps cannot write to {uri!r}" if uri else "it is missing"
        supported = " or ".join(f"{scheme}://BUCKET/FOLDER" for scheme in _SCHEMES[target])
        raise UsageError(f"--pipeline-root: {problem}; give {supported}")


def check_target(settings: KubeflowSettings, target: Target) -> None:
    """Checks that the target supports all settings of the config.

    Raises:
        UsageError: it does not support one; the message names the key.
    """
    problem = next(
        _vertex_problems(settings) if target is Target.VERTEX else _cluster_problems(settings), None
    )
    if problem:
        raise UsageError(problem)


def _vertex_problems(settings: KubeflowSettings) -> Iterator[str]:
    for key, instead in _NOT_ON_VERTEX.items():
        if getattr(settings, key):
            yield f"kubeflow.{key}: not supported by Vertex AI; {instead}"
    for where, step in _steps(settings):
        for key, instead in _NOT_ON_VERTEX_STEPS.items():
            if getattr(step, key) is not None:
                yield f"{where}.{key}: not supported by Vertex AI; {instead}"
        if step.gpu is not None and is_resource_name(step.gpu.type):
            yield (
                f"{where}.gpu.type: {step.gpu.type!r} is a Kubernetes resource name; Vertex AI supports "
                f"{', '.join(VERTEX_ACCELERATORS)}"
            )
    if not in_bucket(settings.serving_dir):
        yield (
            f"kubeflow.serving_dir: {settings.serving_dir!r} would be lost when the step ends; on Vertex AI set it to "
            "/gcs/BUCKET/FOLDER, where a bucket is mounted"
        )


def _cluster_problems(settings: KubeflowSettings) -> Iterator[str]:
    for where, step in _steps(settings):
        if step.gpu is not None and not is_resource_name(step.gpu.type):
            yield (
                f"{where}.gpu.type: {step.gpu.type!r} is a name of Vertex AI; on Kubernetes use a "
                "resource name, such as nvidia.com/gpu"
            )
    for key in ("data_path", "serving_dir"):
        path = getattr(settings, key)
        if in_bucket(path) and not settings.on_volume(path):
            yield (
                f"kubeflow.{key}: {path!r} is where Vertex AI mounts a bucket; on a cluster nothing is mounted "
                "there: use a folder below a mount_path of kubeflow.volumes"
            )


def _steps(settings: KubeflowSettings) -> Iterator[tuple[str, StepSettings]]:
    yield "kubeflow.defaults", settings.defaults
    for name, step in settings.steps.items():
        yield f"kubeflow.steps.{name}", step
