"""Turns the exception of a node into one line for the user and an exit code."""

from __future__ import annotations

import errno
import resource  # at module level: when memory runs out, nothing more can be imported
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.example_gen.beam_errors import original_error
from models.errors import PipelineError
from pipeline.process.start import is_incomplete, remedy

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# Found in the errors of TensorFlow, Arrow, safetensors, the dynamic linker and Python's threads.
_NO_SPACE_WORDS = ("No space left on device", "Disk quota exceeded", "StorageFull")
_NO_MEMORY_WORDS = (
    "std::bad_alloc",
    "Cannot allocate memory",
    "cannot allocate memory",
    "failed to map segment from shared object",
    "OOM when allocating",
    "can't start new thread",
)


class NodeFailed(Exception):
    """A node of the pipeline raised an exception, which is the `__cause__`."""

    def __init__(self, node_id: str) -> None:
        super().__init__(node_id)
        self.node_id = node_id


@dataclass(frozen=True)
class Failure:
    """Why a run failed: `reason` is one line; `expected` is true for errors that need no traceback."""

    reason: str
    exit_code: int
    expected: bool


def explain(error: BaseException, log_path: Path) -> Failure:
    """Returns the line for the user and the exit code.

    `NodeFailed("Trainer") from ValueError("bad shape\\n...") ->
    Failure("node Trainer failed: ValueError: bad shape (details: logs/1.log)", 1, False)`

    Args:
        error: what ended the run.
        log_path: where the traceback is.
    """
    node = f"node {error.node_id}" if isinstance(error, NodeFailed) else "the run"
    chain = list(causes(error))
    # Beam's workers pass an exception on as the text of its traceback.
    for known in (*chain, original_error(error)):
        if isinstance(known, PipelineError):
            return Failure(str(known), known.exit_code, True)
    shortage = lacking(error)
    if shortage:
        return Failure(f"{node} failed: {shortage} (details: {log_path})", 1, False)
    root = next((c for c in chain if not isinstance(c, NodeFailed)), error)
    reason = f"{node} failed: {type(root).__name__}: {_line(root)} (details: {log_path})"
    return Failure(f"{reason}; {remedy()}" if is_incomplete(root) else reason, 1, False)


def lacking(error: BaseException) -> str:
    """What the machine ran out of and what to do about it; "" for all other errors."""
    return next(filter(None, map(_lacking, causes(error))), "")


def _lacking(error: BaseException) -> str:
    number, text = getattr(error, "errno", None), str(error)
    if number in _NO_SPACE or any(words in text for words in _NO_SPACE_WORDS):
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        return f"{where}disk full; free some space and run again, finished steps are kept ({_line(error)})"
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(w in text for w in _NO_MEMORY_WORDS):
        return f"not enough memory{memory_advice()} ({type(error).__name__}: {_line(error)})"
    return ""


def memory_advice() -> str:
    """What to do when memory runs out, with the limit of this process if it has one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    limit = "" if soft == resource.RLIM_INFINITY else f", `ulimit -v` is {soft // 1024}"
    return f"{limit}; lower train.batch_size or transform.max_length, or provide more memory, and run again"


def _line(error: BaseException) -> str:
    """The first line of the message; the last line if the message is a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    return lines[-1] if lines[0].startswith("Traceback ") else lines[0]


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the exception and the chain of its causes and contexts, down to the first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
