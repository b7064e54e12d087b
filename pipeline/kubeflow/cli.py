"""The command line of `runner_kubeflow.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from components.project import PROJECT_DIR
from models.errors import UsageError
from pipeline.kubeflow.client import commands, options, schedule_commands
from pipeline.kubeflow.compiler.targets import Target
from pipeline.process.command_line import EXIT_CODES, call
from pipeline.process.options import ConfigPath

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
    help="Compile a training pipeline for self-hosted Kubeflow Pipelines v2, and submit, schedule and watch its runs.",
)


def main() -> None:
    """Runs the sub-command and exits with its exit code, or with that of the error that it raised."""
    call(app)


@app.command(name="compile")
def compile_(
    config: ConfigPath,
    image: options.Image = "",
    target: Annotated[
        Target, typer.Option(help="Self-hosted Kubeflow Pipelines, or Vertex AI Pipelines.")
    ] = Target.KUBEFLOW,
    pipeline_root: Annotated[
        str, typer.Option(help="Vertex AI: folder for the outputs, gs://BUCKET/FOLDER.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write; default: pipeline.yaml, or job.json for Vertex AI."),
    ] = None,
    set_: options.Overrides = None,
    context: options.Context = PROJECT_DIR,
) -> None:
    """Compile to a PipelineSpec 2.1 package for Kubeflow Pipelines >= 2.5, or to a job of Vertex AI Pipelines.

    Exit code: 0 written, 2 invalid command line or config, 1 any other failure.
    """
    from pipeline.kubeflow.compiler.package import compile_file

    if not image:
        raise UsageError(options.NO_IMAGE)
    if pipeline_root and target is not Target.VERTEX:
        raise UsageError(
            "--pipeline-root needs --target vertex; for a cluster give it to `submit` or `schedule`"
        )
    out = out or Path("job.json" if target is Target.VERTEX else "pipeline.yaml")
    spec = compile_file(config, set_ or (), image, context, out, target, pipeline_root)
    steps = len(spec["root"]["dag"]["tasks"])
    Console().print(
        Text(f"{out}: pipeline {spec['pipelineInfo']['name']!r}, {steps} steps, image {image}"),
        soft_wrap=True,
    )


@app.command()
def check(
    config: ConfigPath,
    namespace: Annotated[
        str, typer.Option(envvar="KFP_NAMESPACE", help="Namespace that the steps run in.")
    ] = "kubeflow",
    kubeconfig: Annotated[
        Path | None, typer.Option(envvar="KUBECONFIG", help="Access to the cluster; default: ~/.kube/config.")
    ] = None,
    set_: options.Overrides = None,
) -> None:
    """Check whether the cluster has the claims and secrets that the config names.

    Exit code: 0 all exist, 2 one is missing, or there is no kubeconfig, 1 the cluster does not answer, or denies access.
    """
    from pipeline.config import load_config
    from pipeline.kubeflow.client.cluster import check_cluster
    from pipeline.kubeflow.compiler.locations import kubeflow_settings

    count = check_cluster(kubeflow_settings(load_config(config, set_ or ())), namespace, kubeconfig)
    Console().print(Text(f"namespace {namespace}: all {count} claims and secrets exist"), soft_wrap=True)


for _command in (
    commands.submit,
    schedule_commands.schedule,
    schedule_commands.schedules,
    commands.runs,
    commands.stop,
    commands.logs,
):
    app.command()(_command)
