"""Extracts the error meant for the user from what a Beam runner raises."""

from __future__ import annotations

import re
import traceback

from models.errors import (
    CheckpointError,
    CheckpointUsageError,
    GateRefused,
    PipelineError,
    UsageError,
)

_KINDS = {
    kind.__name__: kind
    for kind in (PipelineError, UsageError, CheckpointError, CheckpointUsageError, GateRefused)
}
# Python's printed form of an exception, the only one that runners with worker processes pass on.
_PRINTED = re.compile(rf"{re.escape(PipelineError.__module__)}\.(\w+): (.+)")
_STEP = re.compile(r"\s*\[while running '[^\n]*?'\]$")


def original_error(error: BaseException) -> BaseException:
    """Returns the PipelineError that a DoFn raised, with its own message; `error` itself if there is none.

    Runners re-raise it with the step appended to the message
    (`"a.gz: record 3: ... [while running 'Copy']"`), or as a RuntimeError with its traceback as text.
    """
    text = "".join(traceback.format_exception(error))
    for kind, message in reversed(_PRINTED.findall(text)):
        if kind in _KINDS:
            return _KINDS[kind](_STEP.sub("", message.strip()))
    return error
