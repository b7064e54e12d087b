"""Cron expressions as Kubeflow's scheduler reads them: six fields, seconds first, by the rules of robfig/cron 1.2.

A schedule is evaluated in the time zone of the scheduler (`CRON_SCHEDULE_TIMEZONE` of the deployment
ml-pipeline-scheduledworkflow, UTC unless changed); a recurring run has no time zone of its own. It runs at every
instant whose wall clock there matches: a time that is skipped when summer time begins is skipped, and one that is
repeated when it ends runs twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from models.errors import UsageError

_NAMES = ("second", "minute", "hour", "day of month", "month", "day of week")
_BOUNDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = {
    n: i
    for i, n in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_DAYS = {n: i for i, n in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_WORDS: tuple[dict[str, int], ...] = ({}, {}, {}, {}, _MONTHS, _DAYS)
_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY = range(6)
_DAY_MINUTES = 24 * 60
# The scheduler also gives up after five years.
_HORIZON = timedelta(days=5 * 366)


@dataclass(frozen=True)
class Cron:
    """A parsed cron expression: `Cron.parse("30 6 * * mon")` is every Monday at 06:30:00.

    Attributes:
        fields: six strings, seconds first, as the scheduler expects them.
        values: the numbers that match each field; Sunday is 0.
    """

    fields: tuple[str, ...]
    values: tuple[frozenset[int], ...]

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Reads five fields (minute first; Sunday is 0 or 7) or six (seconds first; Sunday is 0).

        Raises:
            UsageError: the number of fields is wrong, or a field is out of range; names the field and the value.
        """
        fields = text.split()
        if len(fields) not in (5, 6) or text.startswith("@"):
            raise UsageError(
                f"--cron {text!r} has {len(fields)} fields; write five (minute hour day month weekday), such as "
                "'30 6 * * *', or Kubeflow's six with seconds first, such as '0 30 6 * * *'"
            )
        ordinary = len(fields) == 5
        fields = ["0", *fields] if ordinary else fields
        values = [_values(text, index, field, ordinary) for index, field in enumerate(fields)]
        if 7 in values[_WEEKDAY]:
            values[_WEEKDAY] = frozenset(day % 7 for day in values[_WEEKDAY])
            fields[_WEEKDAY] = _written(values[_WEEKDAY], _WEEKDAY)
        return cls(tuple(fields), tuple(values))

    def __str__(self) -> str:
        return " ".join(self.fields)

    def on(self, day: date) -> bool:
        """Whether it runs on a day. If day of month and day of week are both restricted, either may match."""
        by_day = day.day in self.values[_DAY]
        by_weekday = day.isoweekday() % 7 in self.values[_WEEKDAY]
        either = not (_has_star(self.fields[_DAY]) or _has_star(self.fields[_WEEKDAY]))
        return day.month in self.values[_MONTH] and (
            by_day or by_weekday if either else by_day and by_weekday
        )

    def upcoming(self, after: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Yields the instants after `after`, in `zone`, the time zone of the scheduler."""
        start = after.astimezone(UTC)  # Python compares times of the same zone by their wall clock
        day = after.astimezone(zone).date()
        last = day + _HORIZON
        while day <= last:
            for hour in sorted(self.values[_HOUR]) if self.on(day) else ():
                yield from (t.astimezone(zone) for t in self._in_hour(day, hour, zone) if t > start)
            day += timedelta(days=1)

    def _in_hour(self, day: date, hour: int, zone: tzinfo) -> list[datetime]:
        instants = set()
        for minute in self.values[_MINUTE]:
            for second in self.values[_SECOND]:
                wall = datetime(day.year, day.month, day.day, hour, minute, second)
                for fold in (0, 1):
                    instant = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
                    if instant.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
                        instants.add(instant)
        return sorted(instants)

    def shifted(self, minutes: int) -> Cron | None:
        """Returns the same instants on a clock that is `minutes` behind: `30 6 * * *` by 60 is `30 5 * * *`.

        Returns:
            None if no single cron can express it, such as when a day of the month becomes the day before.
        """
        if minutes == 0:
            return self
        moved = [
            divmod(hour * 60 + minute - minutes, _DAY_MINUTES)
            for hour in self.values[_HOUR]
            for minute in self.values[_MINUTE]
        ]
        hours = frozenset(rest // 60 for _, rest in moved)
        new_minutes = frozenset(rest % 60 for _, rest in moved)
        if len({rest for _, rest in moved}) != len(hours) * len(new_minutes):
            return None
        weekdays = self._weekdays_moved({days for days, _ in moved})
        if weekdays is None:
            return None
        values = list(self.values)
        values[_HOUR], values[_MINUTE], values[_WEEKDAY] = hours, new_minutes, weekdays
        fields = [
            self.fields[i] if new == old else _written(new, i)
            for i, (new, old) in enumerate(zip(values, self.values, strict=True))
        ]
        return Cron(tuple(fields), tuple(values))

    def _weekdays_moved(self, days: set[int]) -> frozenset[int] | None:
        weekdays = self.values[_WEEKDAY]
        every_date = all(_is_full(self.values[i], i) for i in (_DAY, _MONTH))
        if days == {0} or (every_date and _is_full(weekdays, _WEEKDAY)):
            return weekdays
        if len(days) > 1 or not every_date:
            return None
        return frozenset((day + min(days)) % 7 for day in weekdays)


def _values(cron: str, index: int, field: str, ordinary: bool) -> frozenset[int]:
    try:
        low, high = _BOUNDS[index]
        high = 7 if ordinary and index == _WEEKDAY else high
        items = [_item(item, low, high, _WORDS[index]) for item in field.split(",")]
    except ValueError as error:
        hint = "; Sunday is 0 in the six-field form" if "7 is above 6" in str(error) else ""
        raise UsageError(f"--cron {cron!r}: {_NAMES[index]} {field!r}: {error}{hint}") from None
    return frozenset().union(*items)


def _item(item: str, low: int, high: int, words: dict[str, int]) -> frozenset[int]:
    base, slash, step_text = item.partition("/")
    first, dash, last = base.partition("-")
    if base in ("*", "?"):
        start, end = low, high
    else:
        start = _number(first, low, high, words)
        # `5/10` is `5-59/10`, as in every cron.
        end = _number(last, low, high, words) if dash else high if slash else start
    if start > end:
        raise ValueError(f"the range starts at {start} and ends at {end}")
    step = _number(step_text, 1, high, {}) if slash else 1
    return frozenset(range(start, end + 1, step))


def _number(text: str, low: int, high: int, words: dict[str, int]) -> int:
    if text.lower() in words:
        return words[text.lower()]
    if not re.fullmatch(r"[0-9]{1,9}", text):
        names = f" and not one of {', '.join(words)}" if words else ""
        raise ValueError(f"{text!r} is not a number{names}")
    number = int(text)
    if not low <= number <= high:
        raise ValueError(f"{number} is {'below ' + str(low) if number < low else 'above ' + str(high)}")
    return number


def _has_star(field: str) -> bool:
    return any(item.partition("/")[0] in ("*", "?") for item in field.split(","))


def _is_full(values: frozenset[int], index: int) -> bool:
    low, high = _BOUNDS[index]
    return len(values) == high - low + 1


def _written(values: frozenset[int], index: int) -> str:
    return "*" if _is_full(values, index) else ",".join(map(str, sorted(values)))
