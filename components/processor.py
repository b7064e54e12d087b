"""What this machine's processor can compute in hardware."""

from __future__ import annotations

import re
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


def computes_in_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor has instructions for products of bfloat16 (AVX512_BF16 or AMX).

    Without them the products are emulated and take several times as long as in float32.
    """
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return flags is not None and not _BFLOAT16.isdisjoint(flags[1].split())
