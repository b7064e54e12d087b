"""Options that the commands for a Kubeflow Pipelines server share."""

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

NO_IMAGE = "--image is missing: the container image that holds this project, registry/name:tag"

PackagePath = Annotated[
    Path | None, typer.Option("--package", help="File that `compile` wrote, in place of CONFIG.")
]
Image = Annotated[str, typer.Option(help="Container image that holds this project.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key of CONFIG. Repeatable."),
]
Context = Annotated[Path, typer.Option(help="Folder whose copy the image holds at kubeflow.image_dir.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", help="Parameter of the run: --param epochs=1. Repeatable."),
]
Experiment = Annotated[str, typer.Option(help="Experiment; default: the pipeline's name. Made if need be.")]
PipelineRoot = Annotated[
    str, typer.Option(help="Bucket folder of the outputs, minio://BUCKET/FOLDER; default: the server's.")
]
ServiceAccount = Annotated[
    str, typer.Option(help="Kubernetes service account of the steps; default: the server's.")
]
Host = Annotated[
    str,
    typer.Option(
        envvar=["KFP_HOST", "KF_PIPELINES_ENDPOINT"],
        help="URL of Kubeflow Pipelines, https://kubeflow.example/pipeline. "
        "A token comes from --token-file or $KFP_TOKEN, a session cookie from $KFP_COOKIE.",
    ),
]
Namespace = Annotated[
    str, typer.Option(envvar="KFP_NAMESPACE", help="Namespace of your profile, where there are many users.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        envvar=["KFP_TOKEN_FILE", "KF_PIPELINES_SA_TOKEN_PATH"],
        help="File with the bearer token; read before each request.",
    ),
]
CaCert = Annotated[
    Path | None, typer.Option(envvar="KFP_CA_CERT", help="Certificate of the server's authority (PEM).")
]


def access(host: str, namespace: str, token_file: Path | None, ca_cert: Path | None) -> Access:
    """Options and environment together, checked.

    Raises:
      UsageError: see `Access.check`.
    """
    found = Access(
        host=host,
        namespace=namespace,
        token=os.environ.get("KFP_TOKEN", "").strip(),
        token_file=token_file,
        cookie=os.environ.get("KFP_COOKIE", "").strip(),
        ca_cert=ca_cert,
    )
    found.check()
    return found


def check_source(config: str | None, package: Path | None, image: str) -> None:
    """Checks, before anything is asked of a server, that there is something to run.

    Raises:
      UsageError: not exactly one of CONFIG and --package, or no image to compile for.
    """
    if (config is None) == (package is None):
        raise UsageError("give CONFIG, which is compiled, or --package FILE, which `compile` wrote")
    if config is not None and not image:
        raise UsageError(NO_IMAGE)
    if package is not None and image:
        raise UsageError("--image goes with CONFIG: the package names its image")
    if package is not None:
        read_package(package)


def check_root(pipeline_root: str) -> None:
    """Checks the folder of the outputs, if one is given.

    Raises:
      UsageError: no step could write there.
    """
    from pipeline.kubeflow.compiler.targets import Target, check_pipeline_root

    if pipeline_root:
        check_pipeline_root(pipeline_root, Target.KUBEFLOW)


@contextlib.contextmanager
def compiled(
    config: str | None, package: Path | None, image: str, overrides: Sequence[str], context: Path
) -> Iterator[Package]:
    """The package: read, or compiled into a folder that is gone afterwards.

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
