"""Keeps the console free for messages to the user; all other output goes to the run's log file.

The C++ code of TensorFlow and Beam writes to the file descriptors 1 and 2, bypassing Python's `sys.stderr`,
so the descriptors themselves are redirected to the log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from components.project import PROJECT_DIR

# Variables that must be set before TensorFlow is imported; values that the user has set are kept.
ENVIRONMENT = {
    "TF_USE_LEGACY_KERAS": "1",  # Hugging Face's TF models and TFMA are Keras 2
    "TF_CPP_MIN_LOG_LEVEL": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}


def prepare_environment() -> None:
    """Sets variables that TensorFlow and transformers read on import, and PYTHONPATH for child processes."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    # Beam starts its worker processes in the current folder, which may not be the project's.
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if str(PROJECT_DIR) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([*paths, str(PROJECT_DIR)])


@contextlib.contextmanager
def redirected(log_path: Path, verbose: bool) -> Iterator[tuple[TextIO, TextIO]]:
    """Yields the real stdout and stderr while all other output goes to `log_path`.

    With `verbose` nothing is redirected: the log file gets only what Python's logging writes.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open(log_path, "a", buffering=1, encoding="utf-8"))
        if verbose:
            stack.enter_context(_logging_to(log, sys.stderr))
            yield sys.stdout, sys.stderr
            return
        out = stack.enter_context(_moved(1, log))
        err = stack.enter_context(_moved(2, log))
        stack.enter_context(_logging_to(log))
        yield out, err


@contextlib.contextmanager
def _moved(descriptor: int, log: TextIO) -> Iterator[TextIO]:
    """Redirects a descriptor to the log; yields a stream to its original target."""
    python_stream = {1: sys.stdout, 2: sys.stderr}[descriptor]
    python_stream.flush()
    kept = os.dup(descriptor)
    os.dup2(log.fileno(), descriptor)
    try:
        with open(os.dup(kept), "w", buffering=1, encoding="utf-8", errors="backslashreplace") as stream:
            yield stream
    finally:
        python_stream.flush()
        os.dup2(kept, descriptor)
        os.close(kept)


@contextlib.contextmanager
def _logging_to(*streams: TextIO) -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers = [logging.StreamHandler(stream) for stream in streams]
    for handler in root.handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers, root.level = before[0], before[1]
