"""The TREC pipeline, compiled and run step by step as Kubeflow's driver and launcher would (see `emulator`).

Rows, schema, labels and config are TREC's own, of `make data`; the encoder is tiny and random.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.exports.tfjs import environment as tfjs_environment
from components.project import PROJECT_DIR
from pipeline.config import load_config
from pipeline.kubeflow.compiler.package import compile_package, write_package
from tests.support.full import FULL, only_full
from tests.support.kubeflow import frontend
from tests.support.kubeflow.emulator import Cluster, StepResult
from tests.support.tiny_model import write_checkpoint

pytestmark = [pytest.mark.e2e, pytest.mark.real]

# Enough to tell most kinds of questions apart; every other word is unknown to the encoder.
WORDS = (
    "what who where when how why which whose name is are was were did does do can the a an of in for to and "
    "many much long far old tall big year date day percentage population cost stand mean means come origin "
    "abbreviation acronym country city state river mountain president person man woman company kind color ? ' \""
)
# What the story changes in configs/trec.yaml: `image` stands for the container's copy of the project, `volume` for
# a claim: other folders than those that the package is compiled from, which are gone when it runs.
OVERRIDES = (
    "data.schema={workplace}/schemas/trec.pbtxt",
    "data.label_list={workplace}/data/trec/labels.txt",
    "model.checkpoint={{path: ../encoder}}",
    "train.epochs=1",
    "train.learning_rate=0.001",
    "evaluate.thresholds={{accuracy: {{min: 0.2, max_drop: 0.0}}}}",
    "kubeflow.image_dir={image}",
    "kubeflow.data_path={volume}/data/trec/span-{{SPAN}}",
    "kubeflow.serving_dir={volume}/serving",
    "kubeflow.state_dir={volume}/state",
    "kubeflow.volumes=[{{claim: models, mount_path: {volume}}}]",
)
# Runs that `make test` leaves out: what they show is a node's, and shown locally there.
ONLY_FULL = ("further", "too slow")
BETTER = {"epochs": 3, "learning_rate": 0.005}


@dataclass(frozen=True)
class Site:
    """Folders of one test: the developer's, the image's, the volume's, and the cluster."""

    workplace: Path
    image: Path
    volume: Path
    cluster: Cluster

    def compile(self, name: str, *overrides: str) -> Path:
        package = self.workplace.parent / f"{name}.yaml"
        told = [
            override.format(workplace=self.workplace, image=self.image, volume=self.volume)
            for override in OVERRIDES
        ]
        config = load_config(self.workplace / "configs/trec.yaml", [*told, *overrides])
        compiled = compile_package(
            config, "registry.example/tiny:1", self.workplace / "encoder", self.workplace
        )
        write_package(package, *compiled)
        return package

    def served(self) -> list[str]:
        folder = self.volume / "serving" / "trec"
        return sorted(p.name for p in folder.iterdir() if p.name.isdigit()) if folder.exists() else []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    dataset = PROJECT_DIR / "datasets/trec"
    if not dataset.exists():
        pytest.skip("made by `make data`")
    base = tmp_path_factory.mktemp("kubeflow")
    workplace, image, volume = base / "workplace", base / "image", base / "volume"
    for folder in ("configs", "schemas", "data/trec"):
        shutil.copytree(PROJECT_DIR / folder, workplace / folder)
    write_checkpoint(workplace / "encoder", words=WORDS.split())
    shutil.copytree(workplace, image)
    shutil.copytree(dataset, volume / "data/trec/span-0")
    # The steps import the project as they would in the image.
    return Site(workplace, image, volume, Cluster(base / "cluster", {"PYTHONPATH": str(PROJECT_DIR)}))


@pytest.fixture(scope="module")
def exports() -> dict[str, tuple[str, str]]:
    """Format -> its node, and what it ships; TensorFlow.js where `make test` could set its environment up."""
    ready = tfjs_environment.is_ready() and tfjs_environment.find_node() is not None
    return {
        "onnx": ("ONNXExport", "model.float32.onnx"),
        "tflite": ("TFLiteExport", "model.float32.tflite"),
        **({"tfjs": ("TFJSExport", "float32/model.json")} if ready else {}),
    }


@pytest.fixture(scope="module")
def story(
    site: Site, exports: dict[str, tuple[str, str]]
) -> dict[str, tuple[dict[str, StepResult], list[str]]]:
    """Name of each run -> (its steps, the versions served after it)."""
    plain, gate = site.compile("plain"), site.compile("gate", "data.gate.min_rows=1000")
    slow = site.compile("slow", "canary.max_p99_ms=0.001")
    mirror = f"push.destinations=[{{folder: {site.volume}/mirror}}]"
    further = site.compile("further", mirror, *(f"export.{name}.variants=[float32]" for name in exports))
    site.workplace.rename(site.workplace.with_name("gone"))
    told = {}
    runs = (
        ("first", plain, {"run_date": "2026-02-03"}),
        ("again", plain, {}),
        ("bad data", gate, {}),
        ("better", plain, BETTER),
        ("further", further, BETTER),
        ("too slow", slow, BETTER),
        ("worse", plain, {}),
        ("no such span", plain, {"span": "5"}),
    )
    for name, package, parameters in runs:
        if name in ONLY_FULL and not FULL:
            continue
        run = site.cluster.run(
            package, parameters, evict=lambda task, attempt: (task, attempt) == ("StatisticsGen", 1)
        )
        told[name] = (run, site.served())
    return told


def states(run: dict[str, StepResult]) -> dict[str, str]:
    return {task: result.state for task, result in run.items()}


def last_lines(run: dict[str, StepResult]) -> str:
    return "\n".join(f"--- {task}\n{r.log[-3000:]}" for task, r in run.items() if r.state == "failed")


def test_whole_pipeline_runs_from_import_to_push(story):
    run, served = story["first"]
    assert set(states(run).values()) == {"done"}, last_lines(run)
    assert {"TFRecordExampleGen", "DataGate", "Baseline", "Evaluator", "Pusher"} < run.keys()
    assert served == ["1"]


def test_all_rows_of_the_recipe_are_imported(story, site):
    figures = frontend.figures(reported(site, story["first"][0])["metrics"])
    assert figures["example_count"] == 558  # as data/trec/README.md says of the test split


def test_tokenization_gate_compares_rows_of_every_split(story, site):
    made = site.cluster.artifacts[story["first"][0]["TokenizationGate"].artifacts["report"]]
    properties = {key: value.double_value for key, value in made.custom_properties.items()}
    assert (properties["rows"], properties["mismatches"]) == (2000, 0)


def test_evicted_step_is_retried(story):
    run, _ = story["first"]
    assert run["StatisticsGen"].attempts == 2
    assert run["Trainer"].attempts == 1


def test_pushed_version_names_the_run_and_holds_a_model(story, site):
    version = site.volume / "serving/trec/1"
    assert (version / "saved_model.pb").is_file()
    info = json.loads((version / "assets.extra/push.json").read_text())
    assert len(info["run_id"]) == 36
    assert datetime.fromisoformat(info["run_started_at"]).tzinfo is not None
    assert info["metrics"]["accuracy"] >= 0.2
    assert (info["data"]["path"], info["data"]["span"]) == (
        str(site.volume / "data/trec/span-{SPAN}"),
        0,
    )
    assert info["config"]["train"]["epochs"] == 1
    pushed = site.cluster.artifacts[story["first"][0]["Pusher"].artifacts["pushed_model"]].custom_properties
    assert pushed["config_sha256"].string_value == info["config_sha256"]
    assert json.loads(pushed["metrics"].string_value) == info["metrics"]
    assert info["run_date"] == "2026-02-03"


def test_second_run_takes_from_the_cache_all_that_looks_at_nothing_outside(story):
    run, served = story["again"]
    ran = [task for task, state in states(run).items() if state != "cached"]
    # The Report shows what the Canary found now.
    assert sorted(ran) == [
        "Baseline-probe",
        "Canary",
        "DataGate-verdict",
        "Pusher",
        "Pusher-verdict",
        "Report",
        "TFRecordExampleGen-probe",
        "TokenizationGate-verdict",
    ], last_lines(run)
    assert {run[task].state for task in ran} == {"done"}
    assert served == ["1"]


def test_data_gate_refuses_at_once_and_nothing_behind_it_runs(story):
    run, served = story["bad data"]
    gate, verdict = run["DataGate"], run["DataGate-verdict"]
    assert (gate.state, gate.attempts) == ("done", 1)
    assert (verdict.state, verdict.exit_code, verdict.attempts) == ("failed", 3, 1)
    error = next(line for line in verdict.log.splitlines() if line.startswith("error: "))
    assert "split 'eval': only 497 rows, data.gate.min_rows is 1000" in error
    behind = ("TokenizationGate", "Transform", "Trainer", "Evaluator", "Pusher")
    assert {run[task].state for task in behind} == {"skipped"}
    assert served == ["1"]


def test_parameter_of_the_run_reaches_the_trainer_and_its_better_model_beats_the_served_one(story, site):
    run, served = story["better"]
    assert set(states(run).values()) == {"done", "cached"}, last_lines(run)
    assert [t for t in ("Transform", "Trainer", "Baseline", "Evaluator") if run[t].state == "done"] == [
        "Trainer",
        "Baseline",
        "Evaluator",
    ]
    baseline = run["Baseline"].artifacts["model"]
    assert site.cluster.artifacts[baseline].custom_properties["served_version"].double_value == 1
    blessing = site.cluster.artifacts[run["Evaluator"].artifacts["blessing"]].custom_properties
    assert blessing["baseline_model_id"].double_value == baseline
    assert blessing["current_model_id"].double_value == run["Trainer"].artifacts["model"]
    assert served == ["1", "2"]
    info = json.loads((site.volume / "serving/trec/2/assets.extra/push.json").read_text())
    assert info["config"]["train"]["epochs"] == 3
    assert info["run_date"] == info["run_started_at"][:10]  # the day that it was scheduled for, in UTC


@only_full
def test_pushed_version_goes_to_a_second_place_and_is_exported_beside_the_first(story, site, exports):
    run, served = story["further"]
    assert (run["Trainer"].state, served) == ("cached", ["1", "2"])
    assert run["SecondPusher"].state == "done", last_lines(run)
    assert (site.volume / "mirror/trec/2/saved_model.pb").is_file()
    for name, (node, model) in exports.items():
        assert {run[node].state, run[f"{node}-verdict"].state} == {"done"}, last_lines(run)
        assert (site.volume / "serving/trec.exports/2" / name / model).is_file()
        metrics = frontend.figures(site.cluster.artifacts[run[node].artifacts["metrics"]])
        assert (metrics["float32.accepted"], metrics["served.accuracy"]) == (1.0, metrics["float32.accuracy"])


@only_full
def test_refusal_of_the_canary_is_told_by_the_verdict(story):
    run, served = story["too slow"]
    verdict = run["Pusher-verdict"]
    assert (run["Canary"].state, run["Pusher"].state) == ("done", "done"), last_lines(run)
    assert (verdict.state, verdict.exit_code) == ("failed", 3)
    assert "error: nothing was pushed: infra_blessing of " in verdict.log
    assert "is above canary.max_p99_ms 0.001)" in verdict.log
    assert served == ["1", "2"]


def test_model_worse_than_the_served_one_is_not_pushed_and_the_run_fails(story):
    run, served = story["worse"]
    assert (run["Trainer"].state, run["Evaluator"].state) == ("cached", "done"), last_lines(run)
    verdict = run["Pusher-verdict"]
    assert (run["Pusher"].state, verdict.state, verdict.exit_code) == ("done", "failed", 3)
    assert "error: nothing was pushed" in verdict.log
    assert served == ["1", "2"]


def reported(site: Site, run: dict[str, StepResult]) -> dict[str, mlmd.Artifact]:
    """Output of the Report -> the artifact in the metadata store."""
    assert run["Report"].state == "done", last_lines(run)
    return {key: site.cluster.artifacts[number] for key, number in run["Report"].artifacts.items()}


def test_dashboard_draws_matrix_and_figures_of_the_first_run(story, site):
    made = reported(site, story["first"][0])
    labels, cells = frontend.confusion_matrix(made["classification"])
    assert labels == ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]
    figures = frontend.figures(made["metrics"])
    assert sum(map(sum, cells)) == figures["example_count"]
    right = sum(cells[i][i] for i in range(6))
    assert right / figures["example_count"] == pytest.approx(figures["accuracy"])
    assert (figures["accuracy.min"], figures["blessed"], figures["canary.blessed"]) == (0.2, 1.0, 1.0)
    assert "accuracy.baseline" not in figures


def test_dashboard_finds_its_artifacts_by_the_names_of_their_types(story, site):
    [package] = site.workplace.parent.glob("plain.yaml")
    spec = next(yaml.safe_load_all(package.read_text(encoding="utf-8")))
    outputs = spec["components"]["Report"]["outputDefinitions"]["artifacts"]
    titles = {
        key: yaml.safe_load(declared["artifactType"]["instanceSchema"])["title"]
        for key, declared in outputs.items()
    }
    assert titles == {
        "classification": "system.ClassificationMetrics",
        "metrics": "system.Metrics",
        "page": "system.HTML",
        "summary": "system.Markdown",
    }


def test_dashboard_shows_pages_that_are_one_file_each_also_of_a_refused_model(story, site):
    for name, verdict in (("first", "Accepted by the Evaluator"), ("worse", "Rejected by the Evaluator")):
        made = reported(site, story[name][0])
        page = site.cluster.stored(made["page"].uri).read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>")
        assert verdict in page
        assert verdict in site.cluster.stored(made["summary"].uri).read_text(encoding="utf-8")
    figures = frontend.figures(reported(site, story["worse"][0])["metrics"])
    assert figures["accuracy.difference"] == pytest.approx(figures["accuracy"] - figures["accuracy.baseline"])
    assert figures["accuracy.difference"] < 0
    assert figures["blessed"] == 0.0


def test_examples_carry_span_and_fingerprint_of_the_files(story, site):
    examples = site.cluster.artifacts[story["first"][0]["TFRecordExampleGen"].artifacts["examples"]]
    assert examples.custom_properties["span"].double_value == 0
    assert examples.custom_properties["input_fingerprint"].string_value.startswith("split:train")


def test_span_that_is_not_there_stops_the_run_before_anything_is_read(story):
    run, served = story["no such span"]
    probe = run["TFRecordExampleGen-probe"]
    assert (probe.state, run["TFRecordExampleGen"].state) == ("failed", "skipped"), probe.log[-3000:]
    error = next(line for line in probe.log.splitlines() if line.startswith("error: "))
    assert "span 5; correct data.path" in error
    assert served == ["1", "2"]


def test_first_run_has_no_baseline(story, site):
    run, _ = story["first"]
    baseline = site.cluster.artifacts[run["Baseline"].artifacts["model"]]
    assert baseline.custom_properties["absent"].double_value == 1
    blessing = site.cluster.artifacts[run["Evaluator"].artifacts["blessing"]].custom_properties
    assert blessing["blessed"].double_value == 1
    assert "baseline_model_id" not in blessing


def test_no_path_of_the_compiling_machine_is_in_the_package(story, site):
    packages = list(site.workplace.parent.glob("*.yaml"))
    assert packages
    for package in packages:
        assert str(site.workplace) not in package.read_text()


def test_model_that_was_damaged_in_the_object_store_is_used_by_no_step(story, site):
    model = site.cluster.artifacts[story["better"][0]["Trainer"].artifacts["model"]]
    weights = site.cluster.stored(model.uri) / "Format-Serving/variables/variables.data-00000-of-00001"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    [package] = site.workplace.parent.glob("plain.yaml")
    run = site.cluster.run(package, BETTER)
    weights.write_bytes(whole)
    assert (run["Trainer"].state, run["Pusher"].state) == ("cached", "skipped")
    [failed] = [
        result for result in run.values() if result.state == "failed"
    ]  # the first that reads the model
    error = next(line for line in failed.log.splitlines() if line.startswith("error: "))
    assert error.startswith("error: input ")
    assert "damaged, its files are not those that its step wrote (sha256 differs)" in error
    assert site.served() == story["worse"][1]
