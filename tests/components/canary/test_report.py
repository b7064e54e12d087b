"""canary.json is read back as it was written."""

from __future__ import annotations

import json

from components.canary.report import CanaryReport, read_canary_report, write_canary_report


def test_a_verdict_reads_back_with_the_keys_that_it_has_always_had(tmp_path):
    report = CanaryReport(False, ["p99 latency 9 ms is above 1"], {"p99_ms": 9.0})
    write_canary_report(tmp_path, report)
    assert read_canary_report(tmp_path) == report
    assert json.loads((tmp_path / "canary.json").read_text()) == {
        "blessed": False,
        "reasons": ["p99 latency 9 ms is above 1"],
        "figures": {"p99_ms": 9.0},
    }
