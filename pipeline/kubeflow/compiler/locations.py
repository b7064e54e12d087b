"""Converts a config and its paths into what steps see: paths in the image and on mounted volumes."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from components.example_gen.spans import has_spans
from components.settings import DataSettings
from models.errors import UsageError
from pipeline.config import Config
from pipeline.kubeflow_settings import KubeflowSettings
from pipeline.paths import PipelinePaths


def kubeflow_settings(config: Config) -> KubeflowSettings:
    """Returns the config's `kubeflow` section.

    Raises:
        UsageError: the config has none.
    """
    if config.kubeflow is None:
        raise UsageError(
            f"{config.name}: the config has no kubeflow section; it needs at least kubeflow.data_path, "
            "kubeflow.serving_dir and kubeflow.volumes (`runner_local.py config --explain`)"
        )
    return config.kubeflow


def pipeline_name(config: Config) -> str:
    """The pipeline's name on Kubeflow, without underscores, which Kubernetes forbids; the served model's name stays."""
    return config.name.replace("_", "-").rstrip("-")


def in_containers(
    config: Config, checkpoint_dir: Path, context: Path, scratch: Path
) -> tuple[Config, PipelinePaths]:
    """Returns config and paths with container paths.

    `<context>/schemas/trec.pbtxt -> /app/schemas/trec.pbtxt`, with `kubeflow.image_dir: /app`. Files that are
    hashed while compiling are read on this machine, through `PipelinePaths.local_copies`.

    Args:
        config: from `load_config`, with paths of this machine.
        checkpoint_dir: folder of the encoder on this machine.
        context: folder of this machine that is copied to `image_dir` in the image.
        scratch: temporary folder for files that TFX creates while it compiles.

    Raises:
        UsageError: the config has no kubeflow section, or a file is outside of `context` and so not in the image.
    """
    settings = kubeflow_settings(config)
    _check_span(config.data, settings.data_path)
    image = _Image(context.resolve(), PurePosixPath(settings.image_dir))
    data = config.data.model_copy(
        update={
            "path": Path(settings.data_path),
            "recipe": None,  # steps do not create datasets, and the dataset of a recipe could not have spans
            "data_schema": image.path("data.schema", config.data.data_schema),
            "label_list": image.path("data.label_list", config.data.label_list),
        }
    )
    checkpoint = image.path("the checkpoint", checkpoint_dir)
    checkpoint_settings = config.model.checkpoint
    if checkpoint_settings.path is not None:
        checkpoint_settings = checkpoint_settings.model_copy(update={"path": checkpoint})
    container_config = config.model_copy(
        update={
            "data": data,
            "model": config.model.model_copy(update={"checkpoint": checkpoint_settings}),
            "push": config.push.model_copy(update={"serving_dir": Path(settings.serving_dir)}),
        }
    )
    return container_config, PipelinePaths(
        root=scratch,
        pipeline_root=scratch / "root",
        metadata_path=scratch / "metadata.sqlite",
        state_dir=Path(settings.state_dir) / config.name,
        logs_dir=scratch / "logs",
        lock_path=scratch / "lock",
        checkpoint_dir=checkpoint,
        project_dir=Path(settings.image_dir),
        refusal_dir="",  # only a pod's log remains after it has ended
        local_copies={
            data.data_schema: config.data.data_schema,
            data.label_list: config.data.label_list,
            checkpoint: checkpoint_dir,
        },
    )


def _check_span(data: DataSettings, data_path: str) -> None:
    patterns = [f"{data_path}/{shards}" for shards in data.splits.values()]
    if data.span is not None and not all(map(has_spans, patterns)):
        raise UsageError(
            f"data.span {data.span}: kubeflow.data_path {data_path!r} needs {{SPAN}}, or {{YYYY}}, {{MM}} and {{DD}}"
        )


class _Image:
    """Maps paths below `context` to the image."""

    def __init__(self, context: Path, image_dir: PurePosixPath) -> None:
        self._context, self._image_dir = context, image_dir

    def path(self, what: str, path: Path) -> Path:
        try:
            relative = path.resolve().relative_to(self._context)
        except ValueError:
            raise UsageError(
                f"{what} {path} is outside of {self._context}, the folder that the image contains; move it there "
                "or give --context"
            ) from None
        return Path(self._image_dir / relative)
