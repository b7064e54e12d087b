"""Options shared by the commands for a Kubeflow Pipelines server."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from models.errors import UsageError
from pipeline.kubeflow.client.run_values import Package, read_package
from pipeline.kubeflow.client.server import Access

NO_IMAGE = "--image is missing: the container image with this project, registry/name:tag"

PackagePath = Annotated[
    Path | None, typer.Option("--package", help="File written by `compile`, instead of CONFIG.")
]
Image = Annotated[str, typer.Option(help="Container image with this project.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key of CONFIG. Repeatable."),
]
Context = Annotated[
    Path, typer.Option(help="Folder of this machine that was copied into the image, to kubeflow.image_dir.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", help="Parameter of the run: --param epochs=1. Repeatable."),
]
Experiment = Annotated[
    str, typer.Option(help="Experiment, created if missing; default: the pipeline's name.")
]
PipelineRoot = Annotated[
    str, typer.Option(help="Bucket folder for the outputs, minio://BUCKET/FOLDER; default: the server's.")
]
ServiceAccount = Annotated[
    str, typer.Option(help="Kubernetes service account of the steps; default: the server's.")
]
Host = Annotated[
    str,
    typer.Option(
        envvar=["KFP_HOST", "KF_PIPELINES_ENDPOINT"],
        help="URL of Kubeflow Pipelines, https://kubeflow.example/pipeline. "
        "The token is read from --token-file or $KFP_TOKEN, a session cookie from $KFP_COOKIE.",
    ),
]
Namespace = Annotated[
    str, typer.Option(envvar="KFP_NAMESPACE", help="Namespace of your profile, on a multi-user server.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        envvar=["KFP_TOKEN_FILE", "KF_PIPELINES_SA_TOKEN_PATH"],
        help="File with the bearer token; read before each request.",
    ),
]
CaCert = Annotated[
    Path | None,
    typer.Option(envvar="KFP_CA_CERT", help="Certificate of the server's certificate authority (PEM)."),
]


def access(host: str, namespace: str, token_file: Path | None, ca_cert: Path | None) -> Access:
    """Combines options and environment variables and checks them.

    Raises:
        UsageError: see `Access.check`.
    """
    combined = Access(
        host=host,
        namespace=namespace,
        token=os.environ.get("KFP_TOKEN", "").strip(),
        token_file=token_file,
        cookie=os.environ.get("KFP_COOKIE", "").strip(),
        ca_cert=ca_cert,
    )
    combined.check()
    return combined


def check_source(config: str | None, package: Path | None, image: str) -> None:
    """Checks, before the first request to a server, that there is something to run.

    Raises:
        UsageError: not exactly one of CONFIG and --package is given, or there is no image to compile for.
    """
    if (config is None) == (package is None):
        raise UsageError("give either CONFIG, which is compiled, or --package FILE, written by `compile`")
    if config is not None and not image:
        raise UsageError(NO_IMAGE)
    if package is not None and image:
        raise UsageError("--image needs CONFIG: a package already names its image")
    if package is not None:
        read_package(package)


def check_root(pipeline_root: str) -> None:
    """Checks the folder for the outputs, if one is given.

    Raises:
        UsageError: steps cannot write there.
    """
    from pipeline.kubeflow.compiler.targets import Target, check_pipeline_root

    if pipeline_root:
        check_pipeline_root(pipeline_root, Target.KUBEFLOW)


@contextlib.contextmanager
def compiled(
    config: str | None, package: Path | None, image: str, overrides: Sequence[str], context: Path
) -> Iterator[Package]:
    """Yields the package, either read or compiled into a temporary folder.

    Raises:
        UsageError: config or package cannot be used.
    """
    if package is not None:
        yield read_package(package)
        return
    from pipeline.kubeflow.compiler.package import compile_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        compile_file(config or "", overrides, image, context, path)
        yield read_package(path)
