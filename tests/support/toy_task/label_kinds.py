"""What `import` takes for a label: it writes no numbers yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def why_no_label(value: Any) -> str:
    del value
    return ": a label must be a number"


def not_labels(counts: Mapping[str, int]) -> str | None:
    del counts
    return None


def suspicions(counts: Mapping[str, int]) -> Iterator[str]:
    del counts
    yield from ()
