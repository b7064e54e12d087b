"""The day of a run, and the span of the data that the run uses.

A recurring run is compiled once, so its day must be determined when it runs: Kubeflow >= 2.17 passes to a step the
time that its run was scheduled for. Earlier versions do not, so the time at which the step starts is used, which is
later if the run had to wait. Macros such as `[[ScheduledTime]]` are not replaced in v2 pipelines (docs/kubeflow.md
says where they are).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from components.example_gen.spans import span_number
from models.errors import UsageError

RUN_DATE = "run_date"
SPAN = "span"
# Replaced by the driver: 2026-11-22T05:00:00Z.
SCHEDULE_TIME = "{{$.pipeline_job_schedule_time_utc}}"
NEWEST = ""


def time_zone(name: str, what: str) -> tzinfo:
    """Returns the time zone of a name such as `Europe/Berlin`.

    Raises:
        UsageError: there is no such zone; `what` begins the message.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"{what}: unknown time zone {name!r}; use one such as UTC or Europe/Berlin"
        ) from None


def check_run_date(value: str, what: str = RUN_DATE) -> None:
    """Checks a value of the parameter `run_date`: a date, or the time zone in which the date is determined.

    Raises:
        UsageError: it is neither.
    """
    if _as_date(value) is None:
        try:
            time_zone(value, what)
        except UsageError:
            raise UsageError(
                f"{what}: {value!r} is neither a day such as 2026-11-22 nor a time zone such as Europe/Berlin "
                "(the day for which the run is scheduled, in that zone)"
            ) from None


def find_run_date(value: str, scheduled: str, now: datetime) -> date:
    """Returns the day of the run.

    `("2026-11-22", ...) -> 2026-11-22`, `("Europe/Berlin", "2026-11-21T23:30:00Z", now) -> 2026-11-22`

    Args:
        value: the parameter `run_date`.
        scheduled: what the driver substituted for SCHEDULE_TIME; drivers before 2.17 leave it unchanged or empty.
        now: aware; used if the driver did not substitute a time.

    Raises:
        UsageError: `value` is neither a day nor a zone.
    """
    check_run_date(value)
    day = _as_date(value)
    if day is not None:
        return day
    return (_as_time(scheduled) or now).astimezone(ZoneInfo(value)).date()


def check_span(value: str, what: str = SPAN) -> None:
    """Checks a value of the parameter `span`.

    Raises:
        UsageError: it is neither a number, a day, `run_date` nor empty.
    """
    if value not in (NEWEST, RUN_DATE) and not _is_number(value) and _as_date(value) is None:
        raise UsageError(
            f"{what}: {value!r} is not a span; write a number such as 7, a day such as 2026-11-22, run_date for "
            "the day of the run, or nothing for the newest"
        )


def find_span(value: str, run_date: date) -> int | None:
    """Returns the number of the span, None for the newest: `("run_date", 1970-01-03) -> 2`.

    Raises:
        UsageError: see `check_span`.
    """
    check_span(value)
    if value == NEWEST:
        return None
    if _is_number(value):
        return int(value)
    return span_number(run_date if value == RUN_DATE else _as_date(value) or run_date)


def now() -> datetime:
    """The current time, aware."""
    return datetime.now(UTC)


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) < 10


def _as_date(value: str) -> date | None:
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _as_time(value: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
