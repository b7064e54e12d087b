"""The day of a run, and the span of the data that it uses."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from components.example_gen.spans import fixed_folder, has_spans, span_number
from models.errors import UsageError
from pipeline.kubeflow.run_date import SCHEDULE_TIME, check_span, find_run_date, find_span

NOW = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "scheduled", "day"),
    [
        ("2026-02-28", "2026-11-20T05:00:00Z", date(2026, 2, 28)),
        ("UTC", "2026-11-20T23:30:00Z", date(2026, 11, 20)),
        ("Europe/Berlin", "2026-11-20T23:30:00Z", date(2026, 11, 21)),
        ("UTC", SCHEDULE_TIME, date(2026, 11, 22)),  # drivers before 2.16
        ("Europe/Berlin", "", date(2026, 11, 23)),  # 2.16
    ],
)
def test_day_of_a_run(value, scheduled, day):
    assert find_run_date(value, scheduled, NOW) == day


def test_what_is_no_day_and_no_zone_is_refused():
    with pytest.raises(UsageError, match=r"'2026-13-01' is neither a day such as 2026-11-22 nor a time zone"):
        find_run_date("2026-13-01", "", NOW)


@pytest.mark.parametrize(
    ("value", "span"),
    [("", None), ("7", 7), ("007", 7), ("1970-01-03", 2), ("run_date", 20779)],
)
def test_span_of_a_run(value, span):
    assert find_span(value, date(2026, 11, 22)) == span


@pytest.mark.parametrize("value", ["-1", "seven", "2026-13-01", "7.5", "[[ScheduledTime]]"])
def test_what_is_no_span_is_refused(value):
    with pytest.raises(UsageError, match="is not a span; write a number such as 7"):
        check_span(value)


def test_patterns_begin_below_the_folder_that_is_always_there():
    assert fixed_folder("/data/span-{SPAN}/shards") == ("/data", "span-{SPAN}/shards/")
    assert fixed_folder("/data/{YYYY}/{MM}/{DD}") == ("/data", "{YYYY}/{MM}/{DD}/")
    assert fixed_folder("/data/shards") == ("/data/shards", "")


def test_spans_are_numbers_or_days():
    assert has_spans("a/{SPAN:4}/b")
    assert has_spans("{YYYY}{MM}{DD}")
    assert not has_spans("{YYYY}-{MM}/train-*")
    assert span_number(date(1971, 1, 1)) == 365
