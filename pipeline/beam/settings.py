"""The `beam:` section of a config: the Beam runner of the nodes that use Beam. Beam is not imported.

The section says where work is done and does not affect its result, so it is not part of a node's cache key.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from models.errors import UsageError
from models.section import Section

# The nodes of `pipeline.training_pipeline` that use Beam; a test compares the two.
BeamNode = Literal["TFRecordExampleGen", "StatisticsGen", "Transform", "Evaluator"]
Runner = Literal["direct", "flink", "spark", "portable", "dataflow"]

_PORTABLE = ("flink", "spark", "portable")
# Key -> the runners that use it.
_READ_BY: dict[str, tuple[str, ...]] = {
    "direct_running_mode": ("direct",),
    "job_endpoint": _PORTABLE,
    "environment": _PORTABLE,
    "image": (*_PORTABLE, "dataflow"),
    "command": _PORTABLE,
    "address": _PORTABLE,
    "setup_file": (*_PORTABLE, "dataflow"),
    "project": ("dataflow",),
    "region": ("dataflow",),
    "temp_location": ("dataflow",),
}
_NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_PORTABLE, ("job_endpoint",)),
    "dataflow": ("project", "region", "temp_location", "image"),
}
# Environment -> the key that specifies its workers.
_WORKERS_FROM = {"docker": "image", "process": "command", "external": "address"}
# Beam's own options -> the key of this section that sets them.
_OPTION_KEYS = {
    "runner": "runner",
    "direct_running_mode": "direct_running_mode",
    "direct_num_workers": "workers",
    "parallelism": "workers",
    "sdk_worker_parallelism": "workers",
    "max_num_workers": "workers",
    "job_endpoint": "job_endpoint",
    "sdk_container_image": "image",
    "setup_file": "setup_file",
    "project": "project",
    "region": "region",
    "temp_location": "temp_location",
}
_ENVIRONMENT_OPTIONS = ("environment_type", "environment_config", "environment_option", "environment_options")


def _endpoint(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or "/" in value or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"must be host:port, such as flink-jobs:8099, got {value!r}")
    return value


def _gcs(value: str) -> str:
    if not re.fullmatch(r"gs://[a-z0-9][-_.a-z0-9]+(/.*)?", value):
        raise ValueError(f"Dataflow needs a folder in Cloud Storage, gs://bucket/folder, got {value!r}")
    return value


def _option(value: str) -> str:
    if not re.fullmatch(r"--[A-Za-z]\w*(=.*)?", value, re.DOTALL):
        raise ValueError(f"each must be --name=value, got {value!r}")
    return value


Endpoint = Annotated[str, AfterValidator(_endpoint)]


class BeamRunnerSettings(Section):
    """One Beam runner and its workers."""

    runner: Runner = Field(
        "direct",
        description="direct: this machine. portable: any Beam job service, including those of flink and spark.",
    )
    direct_running_mode: Literal["in_memory", "multi_threading", "multi_processing"] | None = Field(
        None, description="Mode of the direct runner; null: in_memory, one thread in the node's own process."
    )
    workers: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="direct: threads or processes; flink: the job's parallelism; spark, portable: worker "
        "processes per machine; dataflow: maximum number of machines. null: the runner's default; direct: all cores.",
    )
    job_endpoint: Endpoint | None = Field(None, description="host:port of the runner's Beam job service.")
    environment: Literal["docker", "process", "external", "loopback"] | None = Field(
        None, description="Where workers run: in an image, by a command, in a worker pool, in this process."
    )
    image: str | None = Field(
        None,
        min_length=1,
        description="Worker image for docker and dataflow: this project's image, with Beam's boot program.",
    )
    command: str | None = Field(
        None, min_length=1, description="Boot program for `process`, on each worker machine."
    )
    address: Endpoint | None = Field(None, description="host:port of the worker pool for `external`.")
    setup_file: bool | None = Field(
        None, description="Ship this checkout's code to workers whose image does not contain it."
    )
    project: str | None = Field(None, min_length=1, description="Google Cloud project.")
    region: str | None = Field(None, min_length=1, description="Google Cloud region.")
    temp_location: Annotated[str, AfterValidator(_gcs)] | None = Field(
        None, description="gs:// folder for Dataflow's temporary files."
    )
    args: list[Annotated[str, AfterValidator(_option)]] = Field(
        default_factory=list, description="Further Beam pipeline options, --name=value."
    )

    @field_validator("workers")
    @classmethod
    def _threads_or_processes(cls, value: int | None, info: ValidationInfo) -> int | None:
        direct = info.data.get("runner") == "direct"
        if direct and (value or 1) > 1 and info.data.get("direct_running_mode") in (None, "in_memory"):
            raise ValueError(
                f"{value} workers need direct_running_mode multi_threading or multi_processing: "
                "in_memory has one"
            )
        return value

    @field_validator(*_READ_BY)
    @classmethod
    def _read_by_the_runner(cls, value: Any, info: ValidationInfo) -> Any:
        runner, readers = info.data.get("runner"), _READ_BY[info.field_name or ""]
        if value is not None and runner is not None and runner not in readers:
            raise ValueError(f"is used by {', '.join(readers)} only; the runner is {runner}")
        return value

    @field_validator("image", "command", "address", "setup_file")
    @classmethod
    def _read_by_the_environment(cls, value: Any, info: ValidationInfo) -> Any:
        environment, key = info.data.get("environment"), info.field_name
        owner = next((name for name, source in _WORKERS_FROM.items() if source == key), None)
        if value is None or info.data.get("runner") not in _PORTABLE:
            return value
        if owner is not None and environment != owner:
            raise ValueError(f"needs environment {owner}, got environment {environment or 'null'}")
        if key == "setup_file" and environment in ("external", "loopback"):
            raise ValueError(f"environment {environment} installs nothing: its workers are running already")
        return value

    @field_validator("args")
    @classmethod
    def _not_twice(cls, value: list[str], info: ValidationInfo) -> list[str]:
        for arg in value:
            name = arg[2:].partition("=")[0]
            key = _OPTION_KEYS.get(name)
            if name in _ENVIRONMENT_OPTIONS and info.data.get("environment") is not None:
                key = "environment"
            if key is not None:
                raise ValueError(f"{arg!r} is set by the key {key!r}; use that instead")
        return value

    @model_validator(mode="after")
    def _complete(self) -> BeamRunnerSettings:
        missing = [key for key in _NEEDED.get(self.runner, ()) if getattr(self, key) is None]
        if missing:
            raise ValueError(f"runner {self.runner} needs {' and '.join(missing)}")
        if self.runner not in _PORTABLE:
            return self
        if self.environment is None and not any(arg.startswith("--environment_type=") for arg in self.args):
            raise ValueError(
                f"runner {self.runner} needs environment: docker, process, external or loopback; Beam's "
                "default is its own image, which does not contain TFX"
            )
        source = _WORKERS_FROM.get(self.environment or "")
        if source is not None and getattr(self, source) is None:
            raise ValueError(f"environment {self.environment} needs {source}")
        return self


class BeamSettings(BeamRunnerSettings):
    """The Beam runner of all Beam nodes, and those of single nodes."""

    nodes: dict[BeamNode, BeamRunnerSettings] = Field(
        default_factory=dict, description="Beam node -> its own settings, which replace the whole section."
    )

    @model_validator(mode="after")
    def _readable(self) -> BeamSettings:
        if self.node("TFRecordExampleGen").runner == "dataflow":
            raise ValueError(
                "Dataflow cannot read data.path, a local folder; add nodes: {TFRecordExampleGen: {runner: direct}}"
            )
        return self

    def node(self, name: str) -> BeamRunnerSettings:
        """The Beam runner of one node."""
        own_settings: dict[Any, BeamRunnerSettings] = dict(self.nodes)
        return own_settings.get(name, self)


def check_local(settings: BeamSettings) -> None:
    """Refuses runners that cannot read the artifacts of a local run.

    Raises:
        UsageError: a node's Beam runner is Dataflow.
    """
    for key, chosen in (("beam", settings), *((f"beam.nodes.{n}", s) for n, s in settings.nodes.items())):
        if chosen.runner == "dataflow":
            raise UsageError(
                f"{key}.runner: Dataflow's workers cannot read the artifacts of a local run; use it on Kubeflow "
                "with a gs:// pipeline root, or run with --set beam={}"
            )
