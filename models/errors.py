"""Errors for users: one line that says what is wrong, quotes the value and says what to do.

The runners print the message without a traceback and exit with `exit_code`.
"""

from __future__ import annotations


class PipelineError(Exception):
    """The run cannot continue. `str(error)` is the whole message, one line."""

    exit_code = 1


class UsageError(PipelineError):
    """The command line or the config is wrong; nothing was started."""

    exit_code = 2


class CheckpointError(PipelineError):
    """The checkpoint could not be downloaded, or its files cannot be used."""


class CheckpointUsageError(CheckpointError, UsageError):
    """The config names a checkpoint that does not exist, or asks for more than the checkpoint supports."""


class GateRefused(PipelineError):
    """Rejected by a gate (data, metrics or serving): nothing was pushed, or an export was not shipped."""

    exit_code = 3
