"""Checks and prepares a Beam job on the machine that submits it."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from components.project import SHIPPED
from models.errors import PipelineError
from pipeline.beam.arguments import option

_CONNECT_SECONDS = 10
# Without dependencies: they are in the worker's image, and pip's resolver would change their versions.
_SETUP = """\
from setuptools import find_packages, setup

setup(name="tfx-huggingface-pipeline", version="0", packages=find_packages())
"""


def ready_to_submit(node_id: str, arguments: Sequence[str], scratch: Path) -> list[str]:
    """Checks the job endpoint, prepares the source package and returns the pipeline options for Beam.

    Args:
        node_id: for messages.
        arguments: from `beam_arguments`.
        scratch: folder for the source package; must exist until the job has ended.

    Raises:
        PipelineError: nothing listens at the job endpoint, or the options name a folder without the project's sources.
    """
    _check_endpoint(node_id, option(arguments, "job_endpoint"))
    setup_file = option(arguments, "setup_file")
    if setup_file is None:
        return list(arguments)
    # A copy, because Beam builds the package beside the setup file, which may be in a read-only folder or a checkout.
    copy = _source_package(node_id, Path(setup_file).parent, scratch / "sources")
    return [f"--setup_file={copy}" if a == f"--setup_file={setup_file}" else a for a in arguments]


def _check_endpoint(node_id: str, endpoint: str | None) -> None:
    """Fails at once if nothing listens; Beam itself would wait five minutes and fail with an unhelpful message."""
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
    for package in SHIPPED:
        if not (project / package).is_dir():
            raise PipelineError(f"node {node_id}: beam.setup_file: no sources of {package!r} in {project}")
        shutil.copytree(project / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    setup = folder / "setup.py"
    setup.write_text(_SETUP, encoding="utf-8")
    return setup
