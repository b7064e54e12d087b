"""What `compile --target` can write, and which settings each of the two takes.

The `kubeflow` section serves both; a setting that a target has no place for is refused by its key, because
a step would silently run without it.
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


# Settings without a place in a Vertex AI job, and what takes their place there.
_NOT_ON_VERTEX = {
    "volumes": "buckets are mounted there: write data_path and serving_dir as /gcs/BUCKET/FOLDER",
    "secrets": "let the job's service account read Secret Manager",
    "image_pull_secrets": "let Vertex AI's service agent read the Artifact Registry repository",
    "image_pull_policy": "the image is always pulled there: name it by digest",
}
_NOT_ON_VERTEX_STEPS = {
    "cpu_request": "give cpu, machines are chosen by limits",
    "memory_request": "give memory, machines are chosen by limits",
    "node_selector": "machines are chosen by cpu, memory and gpu",
    "tolerations": "machines are chosen by cpu, memory and gpu",
    "deadline_seconds": "steps have no deadline there: cancel the job instead",
    "shared_memory": "the size of /dev/shm is fixed there",
}

# Where each target's launcher can write; the rest of the URI names bucket and folder.
_SCHEMES = {Target.KUBEFLOW: ("minio", "s3", "gs"), Target.VERTEX: ("gs",)}
_BUCKET_URI = re.compile(r"([a-z0-9]+)://[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9](/[^\s/]+)*/?")


def check_pipeline_root(uri: str, target: Target) -> None:
    """Checks the bucket folder that steps write their outputs to.

    Raises:
        UsageError: no step could write there.
    """
    found = _BUCKET_URI.fullmatch(uri)
    if found is None or found[1] not in _SCHEMES[target]:
        given = f"no step can write to {uri!r}" if uri else "it is missing"
        known = " or ".join(f"{scheme}://BUCKET/FOLDER" for scheme in _SCHEMES[target])
        raise UsageError(f"--pipeline-root: {given}; give {known}")


def check_target(settings: KubeflowSettings, target: Target) -> None:
    """Checks that the target has a place for all that the config sets.

    Raises:
        UsageError: it has not; the message names the key.
    """
    problem = next(
        _vertex_problems(settings) if target is Target.VERTEX else _cluster_problems(settings), None
    )
    if problem:
        raise UsageError(problem)


def _vertex_problems(settings: KubeflowSettings) -> Iterator[str]:
    for key, instead in _NOT_ON_VERTEX.items():
        if getattr(settings, key):
            yield f"kubeflow.{key}: Vertex AI has no place for it; {instead}"
    for where, step in _steps(settings):
        for key, instead in _NOT_ON_VERTEX_STEPS.items():
            if getattr(step, key) is not None:
                yield f"{where}.{key}: Vertex AI has no place for it; {instead}"
        if step.gpu is not None and is_resource_name(step.gpu.type):
            yield (
                f"{where}.gpu.type: {step.gpu.type!r} is Kubernetes' name, Vertex AI takes "
                f"{', '.join(VERTEX_ACCELERATORS)}"
            )
    if not in_bucket(settings.serving_dir):
        yield (
            f"kubeflow.serving_dir: {settings.serving_dir!r} would vanish with the step; on Vertex AI write "
            "/gcs/BUCKET/FOLDER, the bucket as steps see it"
        )


def _cluster_problems(settings: KubeflowSettings) -> Iterator[str]:
    for where, step in _steps(settings):
        if step.gpu is not None and not is_resource_name(step.gpu.type):
            yield (
                f"{where}.gpu.type: {step.gpu.type!r} is Vertex AI's name; Kubernetes knows accelerators by "
                "resource name, such as nvidia.com/gpu"
            )
    for key in ("data_path", "serving_dir"):
        path = getattr(settings, key)
        if in_bucket(path) and not settings.on_volume(path):
            yield (
                f"kubeflow.{key}: {path!r} is a bucket as Vertex AI mounts it; on a cluster nothing is mounted "
                "there: use a folder below a mount_path of kubeflow.volumes"
            )


def _steps(settings: KubeflowSettings) -> Iterator[tuple[str, StepSettings]]:
    yield "kubeflow.defaults", settings.defaults
    for name, step in settings.steps.items():
        yield f"kubeflow.steps.{name}", step
