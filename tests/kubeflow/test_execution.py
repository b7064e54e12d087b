"""A compiled package, executed step by step as Kubeflow's driver and launcher would (see `emulator`)."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pipeline.importing.importer import import_files
from tests.kubeflow.emulator import Cluster, StepResult
from tests.tiny_model import rows, write_checkpoint

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
# `image` stands for the container's copy of the project, `volume` for a claim: other folders than those
# that the package is compiled from, which are gone when it runs.
CONFIG = """\
name: tiny_model
data:
  path: data
  schema: data/schema.pbtxt
  labels: data/labels.txt
model:
  checkpoint:
    path: encoder
transform:
  max_length: 32
train:
  epochs: null
  steps: 8
  batch_size: 16
  learning_rate: 0.003
evaluate:
  thresholds:
    accuracy: {{min: 0.2, max_drop: 0.0}}
push:
  serving_dir: serving
kubeflow:
  image_dir: {image}
  data_path: {volume}/data
  serving_dir: {volume}/serving
  state_dir: {volume}/state
  volumes:
    - {{claim: models, mount_path: {volume}}}
  defaults: {{retries: 1}}
"""


@dataclass(frozen=True)
class Site:
    """Folders of one test: the developer's, the image's, the volume's, and the cluster."""

    workplace: Path
    volume: Path
    cluster: Cluster

    def compile(self, name: str, *overrides: str) -> Path:
        options = [part for override in overrides for part in ("--set", override)]
        package = self.workplace.parent / f"{name}.yaml"
        done = subprocess.run(
            [
                *(sys.executable, str(ROOT / "runner_kubeflow.py"), "compile", "tiny.yaml"),
                *("--image", "registry.example/tiny:1", "--context", str(self.workplace), "-o", str(package)),
                *options,
            ],
            cwd=self.workplace,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return package

    def served(self) -> list[str]:
        folder = self.volume / "serving" / "tiny_model"
        return sorted(p.name for p in folder.iterdir() if p.name.isdigit()) if folder.exists() else []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    base = tmp_path_factory.mktemp("kubeflow")
    workplace, image, volume = base / "workplace", base / "image", base / "volume"
    workplace.mkdir()
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows(400)]
    (base / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    import_files([base / "rows.jsonl"], out_dir=workplace / "data", text="text", label="label", name="data")
    write_checkpoint(workplace / "encoder")
    (workplace / "tiny.yaml").write_text(CONFIG.format(image=image, volume=volume), encoding="utf-8")
    subprocess.run(["cp", "-r", str(workplace), str(image)], check=True)
    volume.mkdir()
    subprocess.run(["cp", "-r", str(workplace / "data"), str(volume / "data")], check=True)
    # The steps import the project as they would in the image.
    return Site(workplace, volume, Cluster(base / "cluster", {"PYTHONPATH": str(ROOT)}))


@dataclass(frozen=True)
class Story:
    """The runs of this module, in their order, and what was served after each."""

    first: dict[str, StepResult]
    again: dict[str, StepResult]
    gate: dict[str, StepResult]
    unblessed: dict[str, StepResult]
    served: dict[str, list[str]]


@pytest.fixture(scope="module")
def story(site: Site) -> Story:
    package = site.compile("plain")
    gate = site.compile("gate", "data.gate.min_rows=1000")
    unblessed = site.compile("unblessed", "evaluate.thresholds.cross_entropy={max: 0.0}")
    site.workplace.rename(site.workplace.with_name("gone"))
    served = {}
    runs = {}
    runs["first"] = site.cluster.run(package, evict=lambda task, n: (task, n) == ("StatisticsGen", 1))
    served["first"] = site.served()
    runs["again"] = site.cluster.run(package)
    served["again"] = site.served()
    runs["gate"] = site.cluster.run(gate)
    served["gate"] = site.served()
    runs["unblessed"] = site.cluster.run(unblessed)
    served["unblessed"] = site.served()
    return Story(**runs, served=served)


def states(run: dict[str, StepResult]) -> dict[str, str]:
    return {task: result.state for task, result in run.items()}


def last_lines(run: dict[str, StepResult]) -> str:
    return "\n".join(f"--- {task}\n{r.log[-3000:]}" for task, r in run.items() if r.state == "failed")


def test_whole_pipeline_runs_from_import_to_push(story):
    assert set(states(story.first).values()) == {"done"}, last_lines(story.first)
    assert len(story.first) == 12
    assert story.served["first"] == ["1"]


def test_evicted_step_is_retried(story):
    assert story.first["StatisticsGen"].attempts == 2
    assert story.first["Trainer"].attempts == 1


def test_pushed_version_names_the_run_and_holds_a_model(story, site):
    version = site.volume / "serving/tiny_model/1"
    assert (version / "saved_model.pb").is_file()
    info = json.loads((version / "assets.extra/push.json").read_text())
    assert len(info["run_id"]) == 36


def test_second_run_takes_from_the_cache_all_that_looks_at_nothing_outside(story):
    ran = [task for task, state in states(story.again).items() if state != "cached"]
    assert sorted(ran) == ["Baseline-probe", "Pusher", "TFRecordExampleGen-probe"], last_lines(story.again)
    assert {story.again[task].state for task in ran} == {"done"}
    assert story.served["again"] == ["1"]


def test_data_gate_refuses_at_once_and_nothing_behind_it_runs(story):
    gate = story.gate["DataGate"]
    assert (gate.state, gate.exit_code, gate.attempts) == ("failed", 3, 1)
    error = next(line for line in gate.log.splitlines() if line.startswith("error: "))
    assert "1000" in error
    assert {story.gate[task].state for task in ("Transform", "Trainer", "Evaluator", "Pusher")} == {"skipped"}
    assert story.served["gate"] == ["1"]


def test_model_below_a_threshold_is_not_pushed_and_the_run_fails(story):
    run = story.unblessed
    assert run["Evaluator"].state == "done", last_lines(run)
    assert (run["Pusher"].state, run["Pusher"].exit_code) == ("failed", 3)
    assert "nothing was pushed" in run["Pusher"].log
    assert story.served["unblessed"] == ["1"]


def test_examples_carry_span_and_fingerprint_of_the_files(story, site):
    examples = site.cluster.artifacts[story.first["TFRecordExampleGen"].artifacts["examples"]]
    assert examples.custom_properties["span"].double_value == 0
    assert examples.custom_properties["input_fingerprint"].string_value.startswith("split:train")


def test_first_run_has_no_baseline(story, site):
    baseline = site.cluster.artifacts[story.first["Baseline"].artifacts["model"]]
    assert baseline.custom_properties["absent"].double_value == 1
    blessing = site.cluster.artifacts[story.first["Evaluator"].artifacts["blessing"]]
    assert blessing.custom_properties["blessed"].double_value == 1
    assert "baseline_model_id" not in blessing.custom_properties


def test_no_path_of_the_compiling_machine_is_in_the_package(story, site):
    for package in site.workplace.parent.glob("*.yaml"):
        for document in yaml.safe_load_all(package.read_text()):
            assert str(site.workplace) not in json.dumps(document)
