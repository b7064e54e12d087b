"""The cores that a process may use, from its CPU affinity and its container's quota."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from components.serving.models.cores import usable_cores


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000\n", None), ("50000 100000\n", 1), ("99900000 100000\n", None)]
)
def test_quota_of_the_container_counts_where_it_is_less(
    tmp_path: Path, quota: str, cores: int | None
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores(tmp_path / "cpu.max") == (cores or len(os.sched_getaffinity(0)))


def test_without_a_quota_it_is_the_affinity(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "cpu.max") == len(os.sched_getaffinity(0))
