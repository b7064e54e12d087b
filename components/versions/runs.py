"""Decides which of two runs is newer: the one that started later. Plain Python.

A local run's id begins with the time of its start; other orchestrators pass the time separately. The clocks of
machines that push to the same serving folder have to be synchronized.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from components.versions.record import PushRecord

_ID_FORMAT = "%Y%m%d-%H%M%S-%f"
_LOCAL_ID = re.compile(r"\d{8}-\d{6}-\d{3}")


def new_run_id() -> str:
    """Returns the id of a run that starts now, in UTC: `20261122-183204-123`."""
    return datetime.now(UTC).strftime(_ID_FORMAT)[:-3]


def started_at(run_id: str | None, reported: str | None = None) -> str | None:
    """When a run started, ISO 8601 with a zone: `reported`, or derived from its id; None if unknown.

    `20261122-183204-123 -> 2026-11-22T18:32:04.123+00:00`

    Args:
        run_id: contains the time only if it is from `new_run_id`.
        reported: from the orchestrator; an unresolved placeholder is ignored.
    """
    if reported is not None and _instant(reported) is not None:
        return reported
    if run_id is None or not _LOCAL_ID.fullmatch(run_id):
        return None
    start = datetime.strptime(run_id, _ID_FORMAT).replace(tzinfo=UTC)
    return start.isoformat(timespec="milliseconds")


def is_newer(theirs: PushRecord, ours: PushRecord) -> bool:
    """Whether the record `theirs` is from another run, which started after that of `ours`."""
    if theirs.run_id == ours.run_id:
        return False
    their_start, our_start = (_instant(record.run_started_at) for record in (theirs, ours))
    return their_start is not None and our_start is not None and their_start > our_start


def _instant(text: str | None) -> datetime | None:
    """Parses an ISO 8601 text with a zone; None if it is anything else."""
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None
