"""report.json is read back as it was written."""

from __future__ import annotations

import json

from components.data_gate.report import Finding, GateReport, read_gate_report, report_text


def test_findings_read_back_and_say_the_message_that_the_file_holds(tmp_path):
    finding = Finding("empty_text", "warn", "train", "text", 2, 40, "have no text", "''", "a.gz record 3")
    report = GateReport({"train": 40}, [finding], {"empty_text": "warn"})
    (tmp_path / "report.json").write_text(report_text(report), encoding="utf-8")
    assert read_gate_report(tmp_path) == report
    written = json.loads((tmp_path / "report.json").read_text())
    assert written.keys() == {"rows", "findings", "settings"}
    assert written["findings"][0]["message"] == (
        "split 'train', column 'text': 2 of 40 rows have no text, first '' at a.gz record 3"
    )
    assert written["findings"][0]["message"] == str(read_gate_report(tmp_path).findings[0])
