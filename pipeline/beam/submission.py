"""What is done on the machine that submits a Beam job, just before it does."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from components.project import PACKAGES
from models.errors import PipelineError
from pipeline.beam.arguments import option

_CONNECT_SECONDS = 10
# No dependencies: they are in the worker's image, at versions that pip's resolver would not leave alone.
_SETUP = """\
from setuptools import find_packages, setup

setup(name="tfx-huggingface-pipeline", version="0", packages=find_packages())
"""


def ready_to_submit(node_id: str, arguments: Sequence[str], scratch: Path) -> list[str]:
    """Returns the pipeline options as Beam is to get them.

    Args:
        node_id: for messages.
        arguments: as `beam_arguments` made them.
        scratch: folder for the source package; must stay until the job has ended.

    Raises:
        PipelineError: nothing listens at the job endpoint, or the project's sources are not where the options say.
    """
    _check_endpoint(node_id, option(arguments, "job_endpoint"))
    setup_file = option(arguments, "setup_file")
    if setup_file is None:
        return list(arguments)
    # Beam builds the package in the folder of the setup file, which may be read-only or a checkout.
    copy = _source_package(node_id, Path(setup_file).parent, scratch / "sources")
    return [f"--setup_file={copy}" if a == f"--setup_file={setup_file}" else a for a in arguments]


def _check_endpoint(node_id: str, endpoint: str | None) -> None:
    """Beam itself would wait for five minutes, and then say nothing of use."""
    if endpoint is None:
        return
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise PipelineError(
            f"node {node_id}: no Beam job service answers at {endpoint} ({error.strerror or error}); start it, or "
            "correct beam.job_endpoint"
        ) from None


def _source_package(node_id: str, project: Path, folder: Path) -> Path:
    for package in PACKAGES:
        if not (project / package).is_dir():
            raise PipelineError(f"node {node_id}: beam.setup_file: no sources of {package!r} in {project}")
        shutil.copytree(project / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    setup = folder / "setup.py"
    setup.write_text(_SETUP, encoding="utf-8")
    return setup
