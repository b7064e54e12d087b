"""From what a node raised to the one line that the user reads and the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.errors import PipelineError
from components.example_gen.beam_errors import original_error


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
    root = next((c for c in chain if not isinstance(c, NodeFailed)), error)
    return Failure(f"{node} failed: {type(root).__name__}: {_line(root)} (details: {log_path})", 1, False)


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
