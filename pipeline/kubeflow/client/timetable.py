"""When a schedule runs if its cron is in another time zone than the scheduler."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from itertools import islice
from typing import NamedTuple

from models.errors import UsageError
from pipeline.kubeflow.client.cron import Cron

_SHOWN = 5
_LOOK_AHEAD = 400  # days: one change to summer time and back


class Timetable(NamedTuple):
    """A cron in the scheduler's time zone, and the times at which it runs.

    Attributes:
        cron: in the scheduler's time zone.
        times: the next instants at which it runs, in the user's time zone.
        drifts_on: first day of the next 400 on which it runs at another time of day than asked, because only
            one of the two zones changes its clock.
    """

    cron: Cron
    times: list[datetime]
    drifts_on: date | None


def make_timetable(
    text: str,
    zone: tzinfo,
    server_zone: tzinfo,
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Timetable:
    """Converts a cron into the scheduler's time zone and calculates its next runs.

    Raises:
        UsageError: the cron is invalid, cannot be expressed as one cron in the scheduler's zone, or never runs.
    """
    requested = Cron.parse(text)
    begin = max(now, start) if start else now
    first = next(requested.upcoming(begin, zone), None)
    if first is None:
        raise UsageError(f"--cron {text!r}: there is no such day in the next five years")
    cron = requested.shifted(_ahead(first, zone, server_zone))
    if cron is None:
        raise UsageError(
            f"--cron {text!r}: the scheduler's time zone is {server_zone}, where no single cron matches these times "
            f"of {zone}; write the cron in that zone and give --timezone {server_zone}, or set the scheduler's "
            f"CRON_SCHEDULE_TIMEZONE to {zone} and give --server-timezone {zone}"
        )
    runs = (time.astimezone(zone) for time in cron.upcoming(begin, server_zone))
    times = [time for time in islice(runs, _SHOWN) if end is None or time <= end]
    if not times:
        raise UsageError(f"--cron {text!r}: it never runs between --start and --end")
    return Timetable(cron, times, _drift(requested, cron, first, zone, server_zone))


def _ahead(instant: datetime, zone: tzinfo, server_zone: tzinfo) -> int:
    """Minutes by which the user's clock is ahead of the scheduler's."""
    user, server = instant.astimezone(zone).utcoffset(), instant.astimezone(server_zone).utcoffset()
    assert user is not None  # both are aware
    assert server is not None
    return int((user - server).total_seconds()) // 60


def _drift(requested: Cron, cron: Cron, first: datetime, zone: tzinfo, server_zone: tzinfo) -> date | None:
    for days in range(_LOOK_AHEAD):
        day = first + timedelta(days=days)
        moved = requested.shifted(_ahead(day, zone, server_zone))
        if moved is None or moved.values != cron.values:
            return day.date()
    return None
