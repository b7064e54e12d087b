"""What the probe before an ExampleGen finds for the span and the day of a run."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tfx.utils import name_utils

from components.example_gen.component import TFRecordDriver, TFRecordExampleGen
from models.errors import PipelineError
from pipeline.kubeflow.run_date import SCHEDULE_TIME
from pipeline.kubeflow.step.probes import day_of_run, wanted_examples
from tests.support.local_run import example, tfrecord

DAY = date(1970, 1, 3)


def find(data: Path, span: str, compiled: int | None = None) -> dict[str, Any]:
    node = TFRecordExampleGen(str(data), {"train": "train-*", "eval": "eval-*"}, compiled)
    driver = name_utils.get_full_name(TFRecordDriver)
    return wanted_examples(driver, {**node.exec_properties, "span": span}, DAY)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for span in (1, 2, 3):
        folder = tmp_path / f"span-{span}"
        folder.mkdir()
        for split in ("train", "eval"):
            (folder / f"{split}-0.tfrecord").write_bytes(tfrecord([example(text=b"%d" % span)]))
    return tmp_path


@pytest.mark.parametrize(("given", "span"), [("", 3), ("1", 1), ("run_date", 2), ("1970-01-02", 1)])
def test_span_of_a_run_is_found(data, given, span):
    found = find(data / "span-{SPAN}", given)
    assert found["span"] == span
    assert f"span-{span}/train-*" in found["input_config"]
    assert found["input_fingerprint"].startswith("split:train,num_files:1")


@pytest.mark.parametrize(("given", "span"), [("", 3), ("1", 1)])
def test_span_of_a_run_takes_the_place_of_the_config_s(data, given, span):
    assert find(data / "span-{SPAN}", given, compiled=2)["span"] == span


def test_another_span_is_another_cache_key(data):
    first, second = find(data / "span-{SPAN}", "1"), find(data / "span-{SPAN}", "2")
    assert first == find(data / "span-{SPAN}", "1")
    assert first["input_config"] != second["input_config"]


def test_span_of_data_without_spans_is_refused(data):
    with pytest.raises(PipelineError, match=r"span=2: the data of this pipeline has no spans"):
        find(data / "span-1", "2")


def test_day_of_a_run_is_taken_out_of_the_properties():
    properties = {"run_date": "Europe/Berlin", "scheduled": "2026-11-21T23:30:00Z", "span": ""}
    assert day_of_run(properties) == date(2026, 11, 22)
    assert properties == {"span": ""}
    unknown = {"run_date": "2026-02-03", "scheduled": SCHEDULE_TIME}
    assert day_of_run(unknown) == date(2026, 2, 3)
