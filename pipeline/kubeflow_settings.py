"""The `kubeflow:` section of a config: where steps find their data, and the resources of each step's pod.

TensorFlow is not imported. Hosts, namespaces and tokens are not part of the section, because they belong to a command,
not to a model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from components.exports.format import FORMATS
from models.section import Section

# The steps of `pipeline.training_pipeline`; a test compares these and OPTIONAL_STEPS with the compiled pipeline.
STEPS = (
    "TFRecordExampleGen",
    "StatisticsGen",
    "ImportSchemaGen",
    "ExampleValidator",
    "DataGate",
    "TokenizationGate",
    "Transform",
    "Trainer",
    "Baseline",
    "Evaluator",
    "Canary",
    "Pusher",
    "SecondPusher",
    *(format_.node_id for format_ in FORMATS.values()),
    "Report",
)
if TYPE_CHECKING:
    StepName = str
else:
    StepName = Literal[STEPS]
# Step -> the config key that adds it.
OPTIONAL_STEPS: Mapping[str, str] = {
    "SecondPusher": "push.destinations",
    **{format_.node_id: f"export.{name}" for name, format_ in FORMATS.items()},
}
ACCELERATORS = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "habana.ai/gaudi", "google.com/tpu")
# Vertex AI's names; a test compares them with its API.
VERTEX_ACCELERATORS = (
    "NVIDIA_TESLA_P100",
    "NVIDIA_TESLA_V100",
    "NVIDIA_TESLA_P4",
    "NVIDIA_TESLA_T4",
    "NVIDIA_TESLA_A100",
    "NVIDIA_A100_80GB",
    "NVIDIA_L4",
    "NVIDIA_H100_80GB",
    "NVIDIA_H100_MEGA_80GB",
    "NVIDIA_H200_141GB",
    "NVIDIA_B200",
    "NVIDIA_GB200",
    "NVIDIA_RTX_PRO_6000",
)
BUCKETS_DIR = "/gcs"  # where Vertex AI mounts every Cloud Storage bucket
_MIG = re.compile(r"nvidia\.com/mig-\d+g\.\d+gb")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_VOLUME_NAME = 63
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _quantity(value: str) -> str:
    if not _QUANTITY.fullmatch(value):
        raise ValueError(f"must be a Kubernetes quantity such as 16Gi, 512Mi, 2 or 500m, got {value!r}")
    return value


def _dns_name(value: str) -> str:
    if len(value) > 253 or not _DNS_NAME.fullmatch(value):
        raise ValueError(
            f"a Kubernetes name may contain lower case letters, digits, - and . only, got {value!r}"
        )
    return value


def _env_name(value: str) -> str:
    if not _ENV_NAME.fullmatch(value):
        raise ValueError(f"not a valid name of an environment variable: {value!r}")
    return value


def _accelerator(value: str) -> str:
    if not is_resource_name(value) and value not in VERTEX_ACCELERATORS:
        raise ValueError(
            f"unknown accelerator {value!r}; resource names in Kubernetes: {', '.join(ACCELERATORS)}; "
            f"names in Vertex AI: {', '.join(VERTEX_ACCELERATORS)}"
        )
    return value


def is_resource_name(accelerator: str) -> bool:
    """Whether an accelerator's name is a Kubernetes resource name; otherwise it is a name of Vertex AI."""
    return accelerator in ACCELERATORS or _MIG.fullmatch(accelerator) is not None


def _container_path(value: str) -> str:
    if not value.startswith("/") or ".." in PurePosixPath(value).parts:
        raise ValueError(f"must be an absolute path inside the container, got {value!r}")
    return str(PurePosixPath(value))


Quantity = Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(_quantity)]
DnsName = Annotated[str, AfterValidator(_dns_name)]
EnvName = Annotated[str, AfterValidator(_env_name)]
ContainerPath = Annotated[str, AfterValidator(_container_path)]


class GpuSettings(Section):
    """The accelerators of one step."""

    type: Annotated[str, AfterValidator(_accelerator)] = Field(
        "nvidia.com/gpu",
        description="Resource name of the accelerator in the cluster; on Vertex AI its accelerator type.",
    )
    count: int = Field(1, ge=1, le=64, description="Number of accelerators for the step.")


class TolerationSettings(Section):
    """A taint that the step's pod tolerates."""

    key: str | None = Field(None, description="Taint key; null with `Exists` tolerates every taint.")
    operator: Literal["Exists", "Equal"] = Field("Equal", description="How the taint is matched.")
    value: str | None = Field(None, description="Taint value, with `Equal`.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Taint effect; null: all."
    )

    @model_validator(mode="after")
    def _check(self) -> TolerationSettings:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError(f"operator Exists takes no value, got {self.value!r}")
        if self.key is None and self.operator != "Exists":
            raise ValueError("without a key the operator must be Exists")
        return self


class StepSettings(Section):
    """The pod of one step. In `steps`, null means the value of `defaults`."""

    cpu: Quantity | None = Field(None, description="CPU limit, such as 2 or 500m.")
    cpu_request: Quantity | None = Field(None, description="CPU request.")
    memory: Quantity | None = Field(None, description="Memory limit, such as 8Gi.")
    memory_request: Quantity | None = Field(None, description="Memory request.")
    gpu: GpuSettings | None = Field(None, description="Accelerators.")
    retries: int | None = Field(
        None,
        ge=0,
        le=10,
        description="Maximum retries after a failure; a rejection by a gate is not retried.",
    )
    backoff_seconds: int | None = Field(
        None, ge=0, le=3600, description="Wait before the first retry, doubled for each retry; null: 30."
    )
    cache: bool | None = Field(
        None, description="Reuse the outputs of an identical earlier step; null: true."
    )
    env: dict[EnvName, str] | None = Field(None, description="Environment variables; not for secrets.")
    node_selector: dict[str, str] | None = Field(None, description="Labels that the node must have.")
    tolerations: list[TolerationSettings] | None = Field(None, description="Taints that the pod tolerates.")
    deadline_seconds: int | None = Field(None, ge=1, description="Seconds after which the pod is stopped.")
    shared_memory: Quantity | None = Field(None, description="Size of /dev/shm, such as 2Gi.")


class VolumeSettings(Section):
    """A persistent volume claim that is mounted into every step."""

    claim: DnsName = Field(description="Name of the PersistentVolumeClaim.")
    mount_path: ContainerPath = Field(description="Where it is mounted in the containers.")
    sub_path: str = Field(
        "", description="Folder of the volume to mount; servers before 2.16 mount the whole volume anyway."
    )


class SecretSettings(Section):
    """A Kubernetes secret that every step gets, as environment variables or as files."""

    name: DnsName = Field(description="Name of the Secret.")
    env: dict[str, EnvName] | None = Field(None, description="Key of the secret -> environment variable.")
    mount_path: ContainerPath | None = Field(None, description="Folder with a file for each key.")
    optional: bool = Field(False, description="Start the step even if the secret does not exist.")

    @model_validator(mode="after")
    def _one_way(self) -> SecretSettings:
        if (self.env is None) == (self.mount_path is None):
            raise ValueError(f"secret {self.name!r}: give exactly one of env and mount_path")
        return self


class KubeflowSettings(Section):
    """What self-hosted Kubeflow Pipelines needs in addition to the rest of the config. Paths are container paths."""

    data_path: ContainerPath = Field(description="Folder with the TFRecord shards, in the containers.")
    serving_dir: ContainerPath = Field(description="Folder that the model server watches, on a volume.")
    image_dir: ContainerPath = Field(
        "/app", description="The project's folder in the image, with schemas, labels and checkpoints."
    )
    state_dir: ContainerPath = Field(
        "/tmp/training_state",
        description="Training state; if it is on a volume, a retried Trainer resumes where the first attempt stopped.",
    )
    volumes: list[VolumeSettings] = Field(default_factory=list, description="Claims mounted into all steps.")
    secrets: list[SecretSettings] = Field(default_factory=list, description="Secrets given to all steps.")
    image_pull_secrets: list[DnsName] = Field(
        default_factory=list, description="Secrets of the image registry."
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None, description="When nodes pull the image; null: the cluster's default."
    )
    defaults: StepSettings = Field(StepSettings(), description="Settings of every step's pod.")
    steps: dict[StepName, StepSettings] = Field(
        default_factory=dict, description="Step, such as Trainer -> settings that differ from `defaults`."
    )

    @model_validator(mode="after")
    def _check(self) -> KubeflowSettings:
        if not self.on_volume(self.serving_dir) and not in_bucket(self.serving_dir):
            raise ValueError(
                f"serving_dir {self.serving_dir!r} is not below a mount_path of volumes: "
                "models pushed there would be lost when the pod ends"
            )
        kept = self.on_volume(self.data_path) or in_bucket(self.data_path)
        if not kept and not _below(self.data_path, self.image_dir):
            raise ValueError(
                f"data_path {self.data_path!r} is neither below a mount_path of volumes nor in the image "
                f"({self.image_dir}): no step could read it"
            )
        _check_mounts(
            [(volume.claim, volume.mount_path) for volume in self.volumes]
            + [(secret.name, secret.mount_path) for secret in self.secrets if secret.mount_path]
        )
        return self

    def on_volume(self, path: str) -> bool:
        """Whether a container path is on a mounted claim."""
        return any(_below(path, volume.mount_path) for volume in self.volumes)

    def step(self, name: str) -> StepSettings:
        """Returns `defaults` with the changes of `steps[name]`; dictionaries are merged by key."""
        own_settings: dict[Any, StepSettings] = dict(self.steps)
        changed = own_settings.get(name, StepSettings())
        merged = {}
        for field in StepSettings.model_fields:
            default, own = getattr(self.defaults, field), getattr(changed, field)
            both = isinstance(default, dict) and isinstance(own, dict)
            merged[field] = {**default, **own} if both else default if own is None else own
        return changed.model_copy(update=merged)


def in_bucket(path: str) -> bool:
    """Whether a container path is in a bucket that Vertex AI mounts: `/gcs/my-bucket/serving`."""
    return len(PurePosixPath(path).parts) > 2 and _below(path, BUCKETS_DIR)


def _check_mounts(mounts: list[tuple[str, str]]) -> None:
    """Checks (name of a claim or secret, mount path) pairs. The server names the pod's volumes after these names."""
    names, paths = [name for name, _ in mounts], [path for _, path in mounts]
    for name, path in mounts:
        if paths.count(path) > 1:
            raise ValueError(f"mount_path {path!r} is used twice")
        if names.count(name) > 1:
            raise ValueError(
                f"{name!r} is mounted twice, which a pod does not allow: mount it once, above both folders"
            )
        if "." in name or len(name) > _LONGEST_VOLUME_NAME:
            raise ValueError(
                f"{name!r} cannot be mounted: a pod's volume is named after it, without dots and in at most "
                f"{_LONGEST_VOLUME_NAME} characters"
            )


def _below(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)
