"""Finds the error that a user should read in what a Beam runner raises."""

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
# As Python prints an exception; runners with worker processes pass on this text only.
_PRINTED = re.compile(rf"{re.escape(PipelineError.__module__)}\.(\w+): (.+)")
_STEP = re.compile(r"\s*\[while running '[^\n]*?'\]$")


def original_error(error: BaseException) -> BaseException:
    """Returns the PipelineError that a DoFn raised, as it raised it; `error` itself if there is none.

    Runners raise it again with the step appended to the message
    (`"a.gz: record 3: ... [while running 'Copy']"`), or as a RuntimeError with its traceback as text.
    """
    text = "".join(traceback.format_exception(error))
    for kind, message in reversed(_PRINTED.findall(text)):
        if kind in _KINDS:
            return _KINDS[kind](_STEP.sub("", message.strip()))
    return error
