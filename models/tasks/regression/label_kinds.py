"""Reads the number of a row for `import`."""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from models.tasks.importing import LabelForm, Misfit, ordered_labels

FEWEST_LABELS = 1
TAKES_FORM = False
_LARGEST = 3.0e38  # of float32, which tf.Examples have
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}([,' _]\d{3})+(\.\d*)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+", re.ASCII)


def parse(value: Any, form: LabelForm) -> str:
    """The number of a row as text: `" 2.50 " -> "2.5"`, `3 -> "3.0"`.

    Raises:
        ValueError: with the reason, as the end of a sentence.
    """
    del form
    if isinstance(value, str):
        value = _number(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float | decimal.Decimal):
        raise ValueError(f"has {value!r} ({type(value).__name__}), which is no number")
    try:
        number = float(value)
    except OverflowError:  # of an integer
        raise ValueError(
            f"has {str(value)[:20]}..., which is too large for float32; use another unit"
        ) from None
    if not math.isfinite(number):
        raise ValueError(f"has {value!r}: a target must be a finite number; correct or remove the row")
    if abs(number) > _LARGEST:
        raise ValueError(f"has {value!r}, which is too large for float32; use another unit")
    return repr(number + 0.0)  # -0.0 becomes 0.0, the same number


def _number(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    if not text:
        raise ValueError("is empty; fill it or remove the row")
    if text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise ValueError(f"has {text!r}: a target must be a finite number; correct or remove the row")
    if _THOUSANDS.fullmatch(text):
        raise ValueError(f"has {text!r}: write numbers without separators of thousands")
    if _DECIMAL_COMMA.fullmatch(text):
        raise ValueError(f"has {text!r}: write numbers with a decimal point")
    raise ValueError(f"has {text[:60]!r}, which is no number; a target has digits only, without units")


def counted(text: str, name: str) -> Sequence[str]:
    """Every row is one of the only number, whose name is one line: `("2.5", " stars ") -> ["stars"]`."""
    del text
    return [" ".join(name.split()) or "value"]


def stored(text: str) -> Sequence[float]:
    """The values of the label column: `"2.5" -> [2.5]`."""
    return [float(text)]


def number(text: str) -> float | None:
    """`"2.5" -> 2.5`."""
    return float(text)


def ordered(labels: Iterable[str]) -> list[str]:
    """The label list: `{"b", "a"} -> ["a", "b"]`."""
    return ordered_labels(labels)


def not_labels(counts: Mapping[str, int]) -> Misfit | None:
    """Every number is a target."""
    del counts
    return None


def suspicions(counts: Mapping[str, int]) -> Iterator[str]:
    """None."""
    del counts
    yield from ()
