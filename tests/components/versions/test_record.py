"""push.json: what is written is what is read, and what another release wrote there goes along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.model_files import FileFacts
from components.versions import store
from components.versions.record import Promotion, PushRecord, read_record, record_of, record_text
from tests.components.versions.test_store import make_model

FULL = {
    "by": "ann@laptop",
    "checkpoint": {"fingerprint": "0f", "name": "acme/tiny@1", "revised": True},
    "code": "1a",
    "config": {"name": "trec", "train": {"seed": None}},
    "files": {"saved_model.pb": {"bytes": 3, "mtime_ns": 1795736750234637000, "sha256": "9f"}},
    "metrics": {"accuracy": 0.95, "auc": None},
    "baseline_metrics": None,
    "of_a_later_release": {"a": [1, None]},
    "promoted_from": {"serving_dir": "/staging", "version": 3},
    "restored_from": None,
    "run_id": None,
    "version": 4,
}


def test_fields_are_typed():
    record = record_of(FULL)
    assert record.promoted_from == Promotion(3, "/staging")
    assert record.files == {"saved_model.pb": FileFacts(3, 1795736750234637000, "9f")}
    assert (record.run_id, record.restored_from, record.version) == (None, None, 4)
    assert record.other == {
        "baseline_metrics": None,
        "of_a_later_release": {"a": [1, None]},
        "restored_from": None,
        "run_id": None,
    }


@pytest.mark.parametrize(
    "values", [FULL, {}, {"other": 1, "run_id": "r"}], ids=["full", "empty", "a key `other`"]
)
def test_what_is_read_is_written_again_key_by_key(values: dict[str, Any]):
    assert record_of(values).as_json() == values
    assert record_text(record_of(values)) == json.dumps(values, indent=2, sort_keys=True) + "\n"


def test_null_that_is_known_later_is_replaced():
    record = PushRecord(run_id="r").with_nulls("run_id", "run_started_at")
    assert record.as_json() == {"run_id": "r", "run_started_at": None}


def test_keys_of_another_release_go_through_rollback_and_promotion(tmp_path: Path):
    serving = tmp_path / "serving"
    theirs = {"later": {"x": 1}, "run_id": "run-1", "data": {"path": "/data", "shards": 3}}
    store.publish(make_model(tmp_path / "one", "one"), serving, "trec", 9, record_of(theirs))
    store.publish(make_model(tmp_path / "two", "two"), serving, "trec", 9, PushRecord())
    assert store.rollback(serving, "trec") == 3
    assert store.promote(serving, "trec", 3, tmp_path / "production") == 1
    for version in (serving / "trec/3", tmp_path / "production/trec/1"):
        written = json.loads((version / "assets.extra/push.json").read_text())
        assert {key: written[key] for key in theirs} == theirs
        assert written == read_record(version).as_json()
    assert read_record(serving / "trec/3").restored_from == 1
    assert read_record(tmp_path / "production/trec/1").promoted_from == Promotion(3, str(serving))
