"""Converts the `beam:` section into Beam's pipeline options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pipeline.beam.settings import BeamRunnerSettings

# Beam's portable DirectRunner first tries to download a "prism" binary; the FnApiRunner downloads nothing.
_FN_API = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_PROCESSES = "--runner=pipeline.beam.processes.ProcessesRunner"
# TFX ships a source package of itself (3 s per node, without this project's code) unless a worker image or a
# setup file is set. Only Dataflow starts the image; for other runners the option only affects TFX.
_NO_PACKAGE_OF_TFX = "--sdk_container_image=none"
# Imported by worker processes before anything else; a node's own process has imported it already.
_FIRST_IMPORT = "--beam_plugins=pipeline.beam.worker"
_WORKERS = {
    "direct": "direct_num_workers",
    "flink": "parallelism",
    "spark": "sdk_worker_parallelism",
    "portable": "sdk_worker_parallelism",
    "dataflow": "max_num_workers",
}


def beam_arguments(settings: BeamRunnerSettings, project_dir: str) -> list[str]:
    """Returns the pipeline options of one node.

    `runner: direct -> ["--runner=...FnApiRunner", "--direct_running_mode=in_memory", ...]`

    Args:
        settings: of the node.
        project_dir: where the node's process finds this project.
    """
    options = {"direct": _direct, "dataflow": _dataflow}.get(settings.runner, _portable)(settings)
    sources = [f"--setup_file={project_dir}/setup.py"] if settings.setup_file else []
    return [*options, *sources, _FIRST_IMPORT, *settings.args]


def _direct(settings: BeamRunnerSettings) -> Iterator[str]:
    mode = settings.direct_running_mode or "in_memory"
    yield _PROCESSES if mode == "multi_processing" else _FN_API
    yield _NO_PACKAGE_OF_TFX
    every_core = 0
    yield f"--direct_running_mode={mode}"
    yield f"--direct_num_workers={settings.workers or (1 if mode == 'in_memory' else every_core)}"


def _portable(settings: BeamRunnerSettings) -> Iterator[str]:
    # Used for Flink and Spark too: Beam's FlinkRunner and SparkRunner start their own job server from a jar.
    yield "--runner=PortableRunner"
    yield f"--job_endpoint={settings.job_endpoint}"
    if settings.environment is not None:
        yield f"--environment_type={settings.environment.upper()}"
    if settings.environment == "process":
        yield f"--environment_config={json.dumps({'command': settings.command})}"
    elif settings.environment in ("docker", "external"):
        yield f"--environment_config={settings.image or settings.address}"
    if not settings.setup_file:
        yield f"--sdk_container_image={settings.image}" if settings.image else _NO_PACKAGE_OF_TFX
    yield from _workers(settings)


def _dataflow(settings: BeamRunnerSettings) -> Iterator[str]:
    yield "--runner=DataflowRunner"
    yield f"--project={settings.project}"
    yield f"--region={settings.region}"
    yield f"--temp_location={settings.temp_location}"
    yield f"--sdk_container_image={settings.image}"
    yield from _workers(settings)


def _workers(settings: BeamRunnerSettings) -> Iterator[str]:
    if settings.workers is not None:
        yield f"--{_WORKERS[settings.runner]}={settings.workers}"


LOCAL_BEAM_ARGS = tuple(beam_arguments(BeamRunnerSettings(), ""))


def option(arguments: Sequence[str], name: str) -> str | None:
    """The value of a pipeline option, `option(["--runner=X"], "runner") -> "X"`; None if it is not set."""
    values = [arg.partition("=")[2] for arg in arguments if arg.startswith(f"--{name}=")]
    return values[-1] if values else None


def works_here(arguments: Sequence[str]) -> bool:
    """Whether all of the node's work is done on this machine, so that workers can read its local files."""
    runner = f"--runner={option(arguments, 'runner')}"
    return runner in (_FN_API, _PROCESSES) or option(arguments, "environment_type") == "LOOPBACK"
