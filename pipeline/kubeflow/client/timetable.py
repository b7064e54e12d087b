"""When a schedule will really run: a cron of one time zone on a scheduler that has another."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from itertools import islice
from typing import NamedTuple

from models.errors import UsageError
from pipeline.kubeflow.client.cron import Cron

_SHOWN = 5
_LOOK_AHEAD = 400  # days: one change to summer time and back


class Timetable(NamedTuple):
    """A cron as the scheduler gets it, and what that means.

    Attributes:
      cron: in the scheduler's time zone.
      times: the next instants at which it runs, in the time zone of the user.
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
    """Translates a cron into the scheduler's time zone and looks ahead.

    Raises:
      UsageError: the cron is wrong, no single cron says it in the scheduler's zone, or it never runs.
    """
    asked = Cron.parse(text)
    begin = max(now, start) if start else now
    first = next(asked.upcoming(begin, zone), None)
    if first is None:
        raise UsageError(f"--cron {text!r}: there is no such day in the next five years")
    cron = asked.shifted(_ahead(first, zone, server_zone))
    if cron is None:
        raise UsageError(
            f"--cron {text!r}: the scheduler counts in {server_zone}, where no single cron means these times of "
            f"{zone}; write the cron in that zone and give --timezone {server_zone}, or have the scheduler's "
            f"CRON_SCHEDULE_TIMEZONE set to {zone} and give --server-timezone {zone}"
        )
    runs = (time.astimezone(zone) for time in cron.upcoming(begin, server_zone))
    times = [time for time in islice(runs, _SHOWN) if end is None or time <= end]
    if not times:
        raise UsageError(f"--cron {text!r}: it never runs between --start and --end")
    return Timetable(cron, times, _drift(asked, cron, first, zone, server_zone))


def _ahead(instant: datetime, zone: tzinfo, server_zone: tzinfo) -> int:
    """Minutes by which the user's clock is ahead of the scheduler's."""
    here, there = instant.astimezone(zone).utcoffset(), instant.astimezone(server_zone).utcoffset()
    assert here is not None  # both are aware
    assert there is not None
    return int((here - there).total_seconds()) // 60


def _drift(asked: Cron, cron: Cron, first: datetime, zone: tzinfo, server_zone: tzinfo) -> date | None:
    for days in range(_LOOK_AHEAD):
        day = first + timedelta(days=days)
        moved = asked.shifted(_ahead(day, zone, server_zone))
        if moved is None or moved.values != cron.values:
            return day.date()
    return None
