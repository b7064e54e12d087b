"""The recipe for a node in CONTRIBUTING.md: a folder and a stanza; the class has the facts that Kubeflow needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tfx.orchestration.pipeline import Pipeline

from components.example_gen.component import TFRecordExampleGen
from models.errors import GateRefused
from pipeline.kubeflow.compiler.steps import pipeline_spec
from pipeline.kubeflow_settings import KubeflowSettings
from tests.support.kubeflow.acceptance import refusals
from tests.support.local_run import example, last_artifact, run_nodes, tfrecord
from tests.support.toy_node.component import SplitGate


def nodes(data: Path, split: str) -> list[Any]:
    example_gen = TFRecordExampleGen(str(data), {"train": "train-*", "eval": "eval-*"})
    return [example_gen, SplitGate(examples=example_gen.outputs["examples"], split=split)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for split in ("train", "eval"):
        (tmp_path / f"{split}-0.tfrecord").write_bytes(tfrecord([example(text=b"Who?")]))
    return tmp_path


def test_it_runs_is_cached_and_runs_again_when_its_code_is_edited(data, monkeypatch):
    assert run_nodes(data / "run", nodes(data, "eval"))["SplitGate"] == "COMPLETE"
    report = Path(last_artifact(data / "run", "pipeline.DataGateReport").uri)
    assert (report / "splits.txt").read_text() == "eval train"
    assert run_nodes(data / "run", nodes(data, "eval"))["SplitGate"] == "CACHED"
    monkeypatch.setattr("tests.support.toy_node.component.code_fingerprint", lambda *modules: "edited")
    assert run_nodes(data / "run", nodes(data, "eval"))["SplitGate"] == "COMPLETE"


def test_its_refusal_ends_the_run(data):
    with pytest.raises(GateRefused, match=r"no split 'test' in \['eval', 'train'\]"):
        run_nodes(data / "run", nodes(data, "test"))


def test_on_kubeflow_it_is_a_step_with_a_verdict_that_is_never_cached(data):
    settings = KubeflowSettings.model_validate(
        {
            "data_path": "/mnt/models/data",
            "serving_dir": "/mnt/models/serving",
            "volumes": [{"claim": "models", "mount_path": "/mnt/models"}],
        }
    )
    spec = pipeline_spec(Pipeline("p", str(data), components=nodes(data, "eval")), settings, "image", [])
    assert refusals(yaml.safe_dump(spec)) == []
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["SplitGate"]["cachingOptions"] == {"enableCache": False}
    assert tasks["SplitGate-verdict"]["dependentTasks"] == ["SplitGate"]
