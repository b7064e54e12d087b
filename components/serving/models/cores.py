"""How many cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of this container (cgroup v2)


def usable_cores(quota: Path = _QUOTA) -> int:
    """At least 1; the cores of the CPU affinity, or of the container's quota where that is less.

    "150000 100000" (150 ms of each 100 ms) -> 2 of 8 cores; "max 100000" -> all 8
    """
    cores = len(os.sched_getaffinity(0))
    limit, _, period = quota.read_text().strip().partition(" ") if quota.is_file() else ("max", "", "")
    return cores if limit == "max" else max(1, min(cores, -(-int(limit) // int(period))))
