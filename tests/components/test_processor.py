"""Whether the processor computes in bfloat16, read from the kernel's description of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.processor import computes_in_bfloat16


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f avx512_bf16 clflush", True),
        ("fpu avx512f amx_bf16 amx_tile", True),
        ("fpu avx2 avx512f avx512_vnni amx_tile", False),
    ],
)
def test_bfloat16_follows_from_the_flags(tmp_path: Path, flags: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nvendor_id\t: X\nflags\t\t: {flags}\nbugs\t\t:\n")
    assert computes_in_bfloat16(tmp_path / "cpuinfo") is expected


def test_unknown_processor_is_taken_for_one_that_does_not(tmp_path: Path) -> None:
    assert not computes_in_bfloat16(tmp_path / "none")
