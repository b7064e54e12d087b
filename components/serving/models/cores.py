"""Counts the cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of this container (cgroup v2)


def usable_cores(quota: Path = _QUOTA) -> int:
    """The number of cores in the CPU affinity or in the container's quota, whichever is less; at least 1.

    With 8 cores, the quota "150000 100000" (150 ms per 100 ms) gives 2; "max 100000" gives 8.
    """
    cores = len(os.sched_getaffinity(0))
    limit, _, period = quota.read_text().strip().partition(" ") if quota.is_file() else ("max", "", "")
    return cores if limit == "max" else max(1, min(cores, -(-int(limit) // int(period))))
