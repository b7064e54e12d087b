"""Which of two runs is the newer one: the one that started later. Plain Python.

Where a run's id begins with the time of its start, the id is enough; other orchestrators tell the time
apart. The clocks of machines that push to one serving folder have to be in step.
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


def started_at(run_id: str | None, told: str | None = None) -> str | None:
    """When a run started, ISO 8601 with a zone: as told, or as its id says; None when nobody knows.

    `20261122-183204-123 -> 2026-11-22T18:32:04.123+00:00`

    Args:
        run_id: only one of `new_run_id` has the time in it.
        told: by the orchestrator. One that does not know hands on the name of its placeholder.
    """
    if told is not None and _instant(told) is not None:
        return told
    if run_id is None or not _LOCAL_ID.fullmatch(run_id):
        return None
    start = datetime.strptime(run_id, _ID_FORMAT).replace(tzinfo=UTC)
    return start.isoformat(timespec="milliseconds")


def is_newer(theirs: PushRecord, ours: PushRecord) -> bool:
    """Whether the record `theirs` is of another run, which started after that of `ours`."""
    if theirs.run_id == ours.run_id:
        return False
    their_start, our_start = (_instant(record.run_started_at) for record in (theirs, ours))
    return their_start is not None and our_start is not None and their_start > our_start


def _instant(text: str | None) -> datetime | None:
    """The instant that an ISO 8601 text with a zone names, if it does."""
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None
