"""Cron as Kubeflow's scheduler reads it, and a cron in one time zone on a scheduler in another."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from models.errors import UsageError
from pipeline.kubeflow.client.cron import Cron
from pipeline.kubeflow.client.timetable import make_timetable

BERLIN = ZoneInfo("Europe/Berlin")


def after(cron: str, instant: str, zone: ZoneInfo = BERLIN, count: int = 3) -> list[str]:
    start = datetime.fromisoformat(instant).replace(tzinfo=zone)
    return [f"{t:%m-%d %H:%M:%S %z}" for t in islice(Cron.parse(cron).upcoming(start, zone), count)]


@pytest.mark.parametrize(
    ("given", "six_fields"),
    [
        ("30 6 * * *", "0 30 6 * * *"),
        ("0 30 6 * * *", "0 30 6 * * *"),
        ("*/15 8-18/2 1,15 jan-MAR mon-fri", "0 */15 8-18/2 1,15 jan-MAR mon-fri"),
        ("0 0 * * 7", "0 0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 0 * * 0,5,6"),
    ],
)
def test_five_fields_become_six_with_seconds_first(given, six_fields):
    assert str(Cron.parse(given)) == six_fields


@pytest.mark.parametrize(
    ("cron", "told"),
    [
        ("61 * * * * *", "second '61': 61 is above 59"),
        ("0 60 * * * *", "minute '60': 60 is above 59"),
        ("0 0 24 * * *", "hour '24': 24 is above 23"),
        ("0 0 0 0 * *", "day of month '0': 0 is below 1"),
        ("0 0 0 32 * *", "day of month '32': 32 is above 31"),
        ("0 0 0 * 13 *", "month '13': 13 is above 12"),
        ("0 0 0 * * 7", "day of week '7': 7 is above 6; Sunday is 0 in the six-field form"),
        ("0 0 0 * * mon-sun", "day of week 'mon-sun': the range starts at 1 and ends at 0"),
        ("0 0 9-5 * * *", "hour '9-5': the range starts at 9 and ends at 5"),
        ("0 */0 * * * *", "minute '*/0': 0 is below 1"),
        ("0 0 0 * foo *", "month 'foo': 'foo' is not a number and not one of jan, feb"),
        ("0 1,,2 * * * *", "minute '1,,2': '' is not a number"),
        ("* * * *", "has 4 fields; write five"),
        ("@daily", "has 1 fields; write five"),
    ],
)
def test_wrong_range_names_field_and_value(cron, told):
    with pytest.raises(UsageError) as caught:
        Cron.parse(cron)
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"--cron {cron!r}")
    assert "\n" not in str(caught.value)


def test_time_that_summer_time_skips_is_skipped():
    assert after("30 2 * * *", "2027-03-26T12:00") == [
        "03-27 02:30:00 +0100",
        "03-29 02:30:00 +0200",
        "03-30 02:30:00 +0200",
    ]


def test_time_that_winter_time_repeats_runs_twice():
    assert after("30 2 * * *", "2027-10-30T12:00") == [
        "10-31 02:30:00 +0200",
        "10-31 02:30:00 +0100",
        "11-01 02:30:00 +0100",
    ]


def test_restricted_day_of_month_and_day_of_week_are_alternatives():
    assert after("0 0 13 * fri", "2026-11-01T00:00") == [
        "11-06 00:00:00 +0100",
        "11-13 00:00:00 +0100",
        "11-20 00:00:00 +0100",
    ]
    assert after("0 0 13 * *", "2026-11-01T00:00", count=1) == ["11-13 00:00:00 +0100"]


def test_last_days_of_february_come_in_leap_years():
    assert after("0 0 29 2 *", "2026-11-01T00:00", count=1) == ["02-29 00:00:00 +0100"]


@pytest.mark.parametrize(
    ("cron", "minutes", "shifted"),
    [
        ("30 6 * * *", 60, "0 30 5 * * *"),
        ("0 * * * *", 60, "0 0 * * * *"),
        ("15 */6 * * *", 60, "0 15 5,11,17,23 * * *"),
        ("0 0 * * 1-5", 60, "0 0 23 * * 0,1,2,3,4"),
        ("30 6 * * *", 330, "0 0 1 * * *"),
        ("0 22 * * mon", -180, "0 0 1 * * 2"),
        ("0 0 1 * *", 60, "None"),
        ("0 0,12 * * 1", 60, "None"),
        ("*/20 0 * * *", 30, "None"),
    ],
)
def test_cron_on_a_clock_that_is_behind(cron, minutes, shifted):
    assert str(Cron.parse(cron).shifted(minutes)) == shifted


def table(cron: str, zone: str, server_zone: str, now: str, **limits: datetime):
    return make_timetable(
        cron, ZoneInfo(zone), ZoneInfo(server_zone), datetime.fromisoformat(now).replace(tzinfo=UTC), **limits
    )


def test_times_are_those_at_which_a_scheduler_in_utc_really_runs():
    found = table("30 6 * * *", "Europe/Berlin", "UTC", "2027-03-25T12:00")
    assert str(found.cron) == "0 30 5 * * *"
    assert [f"{t:%m-%d %H:%M %Z}" for t in found.times] == [
        "03-26 06:30 CET",
        "03-27 06:30 CET",
        "03-28 07:30 CEST",
        "03-29 07:30 CEST",
        "03-30 07:30 CEST",
    ]
    assert found.drifts_on == date(2027, 3, 28)


def test_scheduler_in_the_same_zone_does_not_drift():
    found = table("30 6 * * *", "Europe/Berlin", "Europe/Berlin", "2027-03-27T12:00")
    assert str(found.cron) == "0 30 6 * * *"
    assert [f"{t:%m-%d %H:%M %Z}" for t in found.times[:2]] == ["03-28 06:30 CEST", "03-29 06:30 CEST"]
    assert found.drifts_on is None


@pytest.mark.parametrize(
    ("cron", "zone"), [("0 * * * *", "Europe/Berlin"), ("30 6 * * *", "Asia/Kolkata"), ("0 0 * * 1", "UTC")]
)
def test_no_drift_where_the_clocks_do_not_part(cron, zone):
    assert table(cron, zone, "UTC", "2027-03-01T00:00").drifts_on is None


@pytest.mark.parametrize(
    ("cron", "told"),
    [("0 0 1 * *", "no single cron matches these times of Europe/Berlin"), ("0 0 31 2 *", "no such day")],
)
def test_cron_that_cannot_be_is_refused(cron, told):
    with pytest.raises(UsageError, match=told):
        table(cron, "Europe/Berlin", "UTC", "2027-01-01T12:00")


def test_start_and_end_bound_the_times():
    limits = {"start": datetime(2027, 1, 9, 23, tzinfo=UTC), "end": datetime(2027, 1, 11, 12, tzinfo=UTC)}
    found = table("0 6 * * *", "UTC", "UTC", "2027-01-01T12:00", **limits)
    assert [f"{t:%m-%d}" for t in found.times] == ["01-10", "01-11"]
    with pytest.raises(UsageError, match="never runs between --start and --end"):
        table("0 6 1 * *", "UTC", "UTC", "2027-01-01T12:00", **limits)
