"""What `make test-full` runs in addition to `make test`: more cases, more repetitions, engines that start slowly."""

from __future__ import annotations

import os

import pytest

FULL = os.environ.get("TESTS") == "full"
only_full = pytest.mark.skipif(not FULL, reason="a longer proof: make test-full")


def cases(quick: int, full: int) -> int:
    """How many cases or repetitions this run does: `quick` in `make test`, `full` in `make test-full`."""
    return full if FULL else quick
