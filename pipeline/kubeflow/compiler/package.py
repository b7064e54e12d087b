"""Compiles a config into the file that is uploaded to Kubeflow Pipelines or Vertex AI."""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from models.errors import UsageError
from pipeline.config import Config, load_config
from pipeline.kubeflow.compiler.locations import in_containers, kubeflow_settings, pipeline_name
from pipeline.kubeflow.compiler.targets import Target, check_pipeline_root, check_target
from pipeline.process import quiet

TFJS_NOTE = (
    "note: export.tfjs needs an image that was built with TFJS=1 "
    '(BUILD_ARGS="--build-arg TFJS=1" make image IMAGE={image}): docs/tfjs.md'
)
DATA_NOTE = (
    "note: kubeflow.data_path {path} is a container path: its data is checked by the run, not by this command"
)
MARKER = "# Made by `runner_kubeflow.py compile`: a pipeline of Kubeflow Pipelines >= 2.5.\n"


def compile_file(
    config_path: str,
    overrides: Sequence[str],
    image: str,
    context: Path,
    out: Path,
    target: Target = Target.KUBEFLOW,
    pipeline_root: str = "",
) -> dict[str, Any]:
    """Compiles a config file to `out` and returns the PipelineSpec. TFX's log is not shown.

    Args:
        config_path: YAML file of the model.
        overrides: as for `load_config`; for the others see `compile_package` and `compile_job`.

    Raises:
        UsageError: the config cannot run on the target, or `out` cannot be written.
        PipelineError: the checkpoint could not be downloaded or cannot be used.
    """
    check_out(out, target)
    config = load_config(config_path, overrides)
    check_target(kubeflow_settings(config), target)
    if target is Target.VERTEX:
        check_pipeline_root(pipeline_root, target)
    if "tfjs" in config.export.chosen():
        print(TFJS_NOTE.format(image=image), file=sys.stderr)
    from pipeline.inputs import check_settings, encoder_of

    check_settings(config)
    checkpoint_dir = encoder_of(config, say=functools.partial(print, file=sys.stderr))
    print(DATA_NOTE.format(path=kubeflow_settings(config).data_path), file=sys.stderr)
    quiet.prepare_environment()
    with tempfile.TemporaryDirectory() as scratch, quiet.redirected(Path(scratch, "log"), verbose=False):
        if target is Target.VERTEX:
            job = compile_job(config, image, checkpoint_dir, context, pipeline_root)
            write_job(out, job)
            return dict(job["pipelineSpec"])
        spec, platform = compile_package(config, image, checkpoint_dir, context)
        write_package(out, spec, platform)
        return spec


def compile_package(
    config: Config, image: str, checkpoint_dir: Path, context: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the PipelineSpec and the platform document ({} if there are no platform settings).

    Args:
        config: from `load_config`.
        image: container image with the project.
        checkpoint_dir: folder of the encoder on this machine.
        context: folder of this machine that was copied into the image.

    Raises:
        UsageError: the config cannot run on Kubeflow; the message names the key.
    """
    settings = kubeflow_settings(config)
    check_target(settings, Target.KUBEFLOW)
    spec = _compiled(config, image, checkpoint_dir, context)
    # Imported here, because they import TFX: an invalid option is reported before that.
    from pipeline.kubeflow.compiler.platform import platform_spec
    from pipeline.kubeflow.compiler.steps import executor_labels

    return spec, platform_spec(executor_labels(spec), settings)


def compile_job(
    config: Config, image: str, checkpoint_dir: Path, context: Path, pipeline_root: str
) -> dict[str, Any]:
    """Returns the job for Vertex AI Pipelines as JSON values; for the other arguments see `compile_package`.

    Args:
        pipeline_root: `gs://BUCKET/FOLDER`, where artifacts are written.

    Raises:
        UsageError: the config cannot run on Vertex AI; the message names the key.
    """
    settings = kubeflow_settings(config)
    check_target(settings, Target.VERTEX)
    check_pipeline_root(pipeline_root, Target.VERTEX)
    from pipeline.kubeflow.compiler.vertex import vertex_job

    return vertex_job(_compiled(config, image, checkpoint_dir, context), settings, pipeline_root)


def _compiled(config: Config, image: str, checkpoint_dir: Path, context: Path) -> dict[str, Any]:
    from components.baseline.component import ServedBaseline
    from pipeline.kubeflow.compiler.run_parameters import run_parameters
    from pipeline.kubeflow.compiler.steps import pipeline_spec
    from pipeline.training_pipeline import create_pipeline

    settings = kubeflow_settings(config)
    with tempfile.TemporaryDirectory() as scratch:
        container_config, paths = in_containers(config, checkpoint_dir, context, Path(scratch))
        baseline = functools.partial(ServedBaseline, serving_dir=settings.serving_dir, name=config.name)
        pipeline = create_pipeline(
            container_config, paths, lambda candidate: baseline(candidate).with_id("Baseline")
        )
        pipeline.pipeline_info.pipeline_name = pipeline_name(config)
        return pipeline_spec(pipeline, settings, image, run_parameters(container_config))


def check_out(path: Path, target: Target) -> None:
    """Checks the name of the file to write.

    Raises:
        UsageError: its extension is not the target's.
    """
    if target is Target.VERTEX and path.suffix != ".json":
        raise UsageError(f"-o {path}: a job for Vertex AI Pipelines is JSON; use a name like job.json")
    if target is Target.KUBEFLOW and path.suffix not in (".yaml", ".yml"):
        raise UsageError(
            f"-o {path}: a package for Kubeflow Pipelines is YAML; use a name like pipeline.yaml"
        )


def write_package(path: Path, spec: dict[str, Any], platform: dict[str, Any]) -> None:
    """Writes both as YAML documents, atomically.

    Raises:
        UsageError: the name does not end in .yaml, or the file cannot be written.
    """
    check_out(path, Target.KUBEFLOW)
    documents = [spec, platform] if platform else [spec]
    _write(path, MARKER + yaml.safe_dump_all(documents, sort_keys=True))


def write_job(path: Path, job: dict[str, Any]) -> None:
    """Writes a Vertex AI job as JSON, atomically.

    Raises:
        UsageError: the name does not end in .json, or the file cannot be written.
    """
    check_out(path, Target.VERTEX)
    _write(path, json.dumps(job, indent=2, sort_keys=True) + "\n")


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    except OSError as error:
        raise UsageError(f"-o {path}: cannot be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)
