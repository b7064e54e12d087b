"""Gives a run its own temporary folder and removes what killed runs left behind.

Everything here lies below the pipeline's folder and is touched only while the pipeline's lock is held, when no other
run can be using it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from components.manifest import manifest_path
from components.trainer.state_files import remove_files_aside
from pipeline.paths import PipelinePaths

_VARIABLE = "TMPDIR"  # read by Python, TensorFlow, Beam and child processes


@contextlib.contextmanager
def temporary_folder(folder: Path) -> Iterator[None]:
    """Inside this context, this process and its children put temporary files into `folder`, which is removed at the end.

    These include AutoGraph's generated sources, Beam's staging files and the folders of the canary and the exporters.
    If a run is killed, the next run removes its folder.
    """
    before, before_cached = os.environ.get(_VARIABLE), tempfile.tempdir
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[_VARIABLE] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before_cached
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(paths: PipelinePaths) -> None:
    """Removes what killed runs left: temporary files, TFX's working folders, incomplete training state."""
    shutil.rmtree(paths.temp_dir, ignore_errors=True)
    remove_files_aside(paths.state_dir)
    for pattern in (
        "*/.system/executor_execution/*/.temp",
        "*/.system/stateful_working_dir/*",
        "*/.system/driver_execution/*",
        "*/.system/manifests/*.json.*",
    ):
        _remove(paths.pipeline_root.glob(pattern))


def remove_outputs(pipeline_root: Path, executions: Iterable[int]) -> None:
    """Removes the outputs of executions that did not finish."""
    for number in executions:
        outputs = list(pipeline_root.glob(f"*/*/{number}"))
        _remove(map(manifest_path, outputs))
        _remove(outputs)
        _remove(pipeline_root.glob(f"*/.system/executor_execution/{number}"))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
