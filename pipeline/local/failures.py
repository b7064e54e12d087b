"""From what a node raised to the one line that the user reads and the exit code."""

from __future__ import annotations

import errno
import resource  # here: where memory is short, nothing can be imported any more
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.example_gen.beam_errors import original_error
from models.errors import PipelineError
from pipeline.process.start import is_incomplete, remedy

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# In the text of errors that libraries raise: TensorFlow, Arrow, safetensors, the dynamic linker, Python's threads.
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
    """A node of the pipeline raised; the cause is `__cause__`."""

    def __init__(self, node_id: str) -> None:
        super().__init__(node_id)
        self.node_id = node_id


@dataclass(frozen=True)
class Failure:
    """`reason` is one line; `expected` when we raised it for the user, whom a traceback does not help."""

    reason: str
    exit_code: int
    expected: bool


def explain(error: BaseException, log_path: Path) -> Failure:
    """Finds the line for the user.

    `NodeFailed("Trainer") from ValueError("bad shape\\n...") ->
    Failure("node Trainer failed: ValueError: bad shape (details: logs/1.log)", 1, False)`

    Args:
        error: what ended the run.
        log_path: where the traceback is.
    """
    node = f"node {error.node_id}" if isinstance(error, NodeFailed) else "the run"
    chain = list(causes(error))
    # Beam's workers hand an exception over as the text of its traceback.
    for known in (*chain, original_error(error)):
        if isinstance(known, PipelineError):
            return Failure(str(known), known.exit_code, True)
    short_of = lacking(error)
    if short_of:
        return Failure(f"{node} failed: {short_of} (details: {log_path})", 1, False)
    root = next((c for c in chain if not isinstance(c, NodeFailed)), error)
    told = f"{node} failed: {type(root).__name__}: {_line(root)} (details: {log_path})"
    return Failure(f"{told}; {remedy()}" if is_incomplete(root) else told, 1, False)


def lacking(error: BaseException) -> str:
    """What the machine ran out of, and what to do; "" for all other errors."""
    return next(filter(None, map(_lacking, causes(error))), "")


def _lacking(error: BaseException) -> str:
    number, text = getattr(error, "errno", None), str(error)
    if number in _NO_SPACE or any(words in text for words in _NO_SPACE_WORDS):
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        return f"{where}disk full; free some space and run again, what is done stays ({_line(error)})"
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(w in text for w in _NO_MEMORY_WORDS):
        return f"not enough memory{memory_advice()} ({type(error).__name__}: {_line(error)})"
    return ""


def memory_advice() -> str:
    """What to do about it, with the limit of this process if it has one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    limit = "" if soft == resource.RLIM_INFINITY else f", `ulimit -v` is {soft // 1024}"
    return f"{limit}; lower train.batch_size or transform.max_length, or give it more, and run again"


def _line(error: BaseException) -> str:
    """The first line of the message; of a traceback that came as text, the last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    return lines[-1] if lines[0].startswith("Traceback ") else lines[0]


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception, and what it was raised from or while handling, to the first one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
