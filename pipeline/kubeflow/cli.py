"""The command line of `runner_kubeflow.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from components.errors import PipelineError, UsageError
from pipeline.local import quiet

PROJECT_DIR = Path(__file__).resolve().parents[2]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Take a training pipeline to self-hosted Kubeflow Pipelines v2.",
)


@app.callback()
def _commands() -> None:
    """Keeps `compile` a sub-command while it is the only one."""


def main() -> None:
    """Entry point: prints errors that were raised for the user as one line and exits with their code."""
    try:
        app(standalone_mode=True)
    except PipelineError as error:
        Console(stderr=True).print(Text(f"error: {error}", "bold red"), soft_wrap=True)
        sys.exit(error.exit_code)


@app.command(name="compile")
def compile_(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="YAML file of the model, with a kubeflow section.")
    ],
    image: Annotated[str, typer.Option(help="Container image that holds this project.")] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("pipeline.yaml"),
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override one key: --set train.epochs=1. Repeatable."
        ),
    ] = None,
    context: Annotated[
        Path, typer.Option(help="Folder whose copy the image holds at kubeflow.image_dir.")
    ] = PROJECT_DIR,
) -> None:
    """Compile to a PipelineSpec 2.1 package, to be uploaded to Kubeflow Pipelines >= 2.5.

    Exit code: 0 written, 2 bad usage or config, 1 anything else.
    """
    from pipeline.config import load_config
    from pipeline.kubeflow.locations import kubeflow_settings
    from pipeline.kubeflow.package import compile_package, write_package

    if not image:
        raise UsageError("--image is missing: the container image that holds this project, registry/name:tag")
    loaded = load_config(config, set_ or ())
    kubeflow_settings(loaded)
    from pipeline.kubeflow.inputs import local_inputs

    checkpoint_dir = local_inputs(loaded)
    quiet.prepare_environment()
    with tempfile.TemporaryDirectory() as scratch, quiet.redirected(Path(scratch, "log"), verbose=False):
        spec, platform = compile_package(loaded, image, checkpoint_dir, context)
    write_package(out, spec, platform)
    steps = len(spec["root"]["dag"]["tasks"])
    Console().print(
        Text(f"{out}: pipeline {spec['pipelineInfo']['name']!r}, {steps} steps, image {image}"),
        soft_wrap=True,
    )
