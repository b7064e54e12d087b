"""Spans: data that arrives in numbered or dated folders or files, named as in every TFX ExampleGen.

`{SPAN}` (or `{SPAN:4}`, with leading zeros) is a number; `{YYYY}`, `{MM}` and `{DD}` are a day, whose number
is the days since 1970-01-01. Imports no TensorFlow.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import PurePath

_SPAN = re.compile(r"\{SPAN(:\d+)?\}")
_VERSION = re.compile(r"\{VERSION(:\d+)?\}")
_DAY = ("{YYYY}", "{MM}", "{DD}")
_EPOCH = date(1970, 1, 1)


def is_numbered(pattern: str) -> bool:
    """`is_numbered("span-{SPAN}/train-*")`."""
    return _SPAN.search(pattern) is not None


def is_dated(pattern: str) -> bool:
    """`is_dated("{YYYY}-{MM}-{DD}/train-*")`."""
    return all(part in pattern for part in _DAY)


def has_spans(pattern: str) -> bool:
    """Whether a pattern selects one of several spans."""
    return is_numbered(pattern) or is_dated(pattern)


def fixed_folder(path: str) -> tuple[str, str]:
    """Splits a path before the part with its first `{`: ExampleGens accept patterns only below a folder.

    `"/data/span-{SPAN}/shards" -> ("/data", "span-{SPAN}/shards/")`, `"/data" -> ("/data", "")`
    """
    parts = PurePath(path).parts
    fixed = next((i for i, part in enumerate(parts) if "{" in part), len(parts))
    return str(PurePath(*parts[:fixed])), "".join(f"{part}/" for part in parts[fixed:])


def span_number(span: int | date) -> int:
    """`date(1970, 1, 3) -> 2`; a number is returned unchanged."""
    return (span - _EPOCH).days if isinstance(span, date) else span


def day_of(span: int) -> date:
    """`2 -> date(1970, 1, 3)`."""
    return _EPOCH + timedelta(days=span)


def span_glob(pattern: str, span: int | date | None) -> str:
    """The `glob` pattern of the files of one span, or of all spans.

    `("/data/{SPAN:3}/train-*", 7) -> "/data/007/train-*"`, `("{YYYY}/{MM}/{DD}", None) -> "????/??/??"`
    """
    if span is None:
        pattern = _SPAN.sub("*", pattern)
        parts: tuple[str, ...] = ("????", "??", "??")
    else:
        number = span_number(span)
        pattern = _SPAN.sub(lambda match: str(number).zfill(int((match[1] or ":0")[1:])), pattern)
        parts = tuple(day_of(number).strftime("%Y %m %d").split()) if is_dated(pattern) else _DAY
    for name, value in zip(_DAY, parts, strict=True):
        pattern = pattern.replace(name, value)
    return _VERSION.sub("*", pattern)
