"""From a config to the file that is uploaded to Kubeflow Pipelines."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from components.errors import UsageError
from pipeline.config import Config
from pipeline.kubeflow.locations import in_containers, kubeflow_settings

MARKER = "# Made by `runner_kubeflow.py compile`: a pipeline of Kubeflow Pipelines >= 2.5.\n"


def compile_package(
    config: Config, image: str, checkpoint_dir: Path, context: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the PipelineSpec and the platform document ({} when there is nothing to say).

    Args:
        config: as `load_config` gives it.
        image: container image that holds the project.
        checkpoint_dir: folder of the encoder on this machine.
        context: folder of this machine whose copy the image holds.

    Raises:
        UsageError: the config cannot run there; the message names the key.
    """
    # Here, because they import TFX: a wrong option is told without waiting for it.
    from components.baseline.component import ServedBaseline
    from pipeline.fingerprints import code_fingerprint
    from pipeline.kubeflow.platform import platform_spec
    from pipeline.kubeflow.run_parameters import run_parameters
    from pipeline.kubeflow.steps import executor_labels, pipeline_spec
    from pipeline.training_pipeline import create_pipeline

    settings = kubeflow_settings(config)
    with tempfile.TemporaryDirectory() as scratch:
        there, paths = in_containers(config, checkpoint_dir, context, Path(scratch))
        baseline = functools.partial(
            ServedBaseline,
            serving_dir=settings.serving_dir,
            name=config.name,
            code_fingerprint=code_fingerprint("components.baseline.executor"),
        )
        pipeline = create_pipeline(there, paths, lambda candidate: baseline(candidate).with_id("Baseline"))
        # Kubernetes takes no underscore in a name; the served model keeps its own.
        pipeline.pipeline_info.pipeline_name = config.name.replace("_", "-").rstrip("-")
        spec = pipeline_spec(pipeline, settings, image, run_parameters(there))
    return spec, platform_spec(executor_labels(spec), settings)


def write_package(path: Path, spec: dict[str, Any], platform: dict[str, Any]) -> None:
    """Writes both as YAML documents, whole or not at all.

    Raises:
        UsageError: the name does not end in .yaml, or the file cannot be written.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(f"-o {path}: Kubeflow Pipelines takes YAML, name it like pipeline.yaml")
    documents = [spec, platform] if platform else [spec]
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(MARKER + yaml.safe_dump_all(documents, sort_keys=True), encoding="utf-8")
        os.replace(aside, path)
    except OSError as error:
        raise UsageError(f"-o {path}: cannot be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)
