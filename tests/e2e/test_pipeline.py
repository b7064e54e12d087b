"""The whole pipeline on a tiny random model: pushed, cached, rejected, replaced, and what is served.

One story of runs in one folder, told by the `story` fixture; each test looks at a part of it.
"""

from __future__ import annotations

import csv
import fcntl
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto.metadata_store_pb2 import Artifact, ConnectionConfig

from components import manifest
from components.project import PROJECT_DIR
from components.tokenization_gate.report import read_parity_report
from components.versions.record import version_damage
from tests.components.test_manifest import rewrite
from tests.support.full import only_full
from tests.support.tiny_model import rows, write_checkpoint
from tests.support.tiny_project import CONFIG

pytestmark = pytest.mark.e2e

BETTER = ("train.max_steps=150",)


@dataclass(frozen=True)
class Run:
    """One `runner_local.py run`."""

    exit_code: int
    result: dict[str, Any]
    stderr: str

    def states(self) -> dict[str, str]:
        return {node["id"]: node["state"] for node in self.result["nodes"]}


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT_DIR / "runner_local.py"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1800,  # of a hang; a busy machine is slow
    )


def run(folder: Path, *overrides: str, force: bool = False) -> Run:
    options = [part for override in overrides for part in ("--set", override)]
    done = call(folder, "run", "tiny.yaml", "--json", *options, *(["--force"] if force else []))
    return Run(done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr)


def versions(folder: Path) -> list[str]:
    served = folder / "serving" / "tiny"
    return sorted(p.name for p in served.iterdir() if p.name.isdigit()) if served.exists() else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("e2e")
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows(600))
    imported = call(folder, "import", "rows.csv", "--text", "text", "--label", "label", "--out", "data")
    assert imported.returncode == 0, imported.stderr
    write_checkpoint(folder / "encoder")
    (folder / "tiny.yaml").write_text(CONFIG, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def story(folder: Path) -> dict[str, tuple[Run, list[str]]]:
    """Name of each run -> (the run, the versions served after it)."""
    told = {}
    for name, overrides in (
        ("first", ()),
        ("again", ()),
        ("unreachable", ("evaluate.thresholds.cross_entropy={max: 0.0}",)),
        ("better", BETTER),
        ("better again", BETTER),
        ("too slow", (*BETTER, "canary.max_p99_ms=0.001")),
        ("worse", ("train.max_steps=1",)),
    ):
        done = run(folder, *overrides)
        told[name] = (done, versions(folder))
    return told


def test_first_run_pushes_version_1(story):
    done, served = story["first"]
    assert (done.exit_code, done.result["status"], done.result["version"]) == (0, "pushed", 1), done.stderr
    assert served == ["1"]
    assert set(done.states().values()) == {"done"}
    assert done.result["baseline_metrics"] is None


def test_all_rows_were_tokenized_by_transformers_too_and_the_report_says_so(story, folder):
    [made] = folder.glob("runs/tiny/artifacts/TokenizationGate/report/*")
    report = read_parity_report(made)
    assert (report.rows_compared, report.rows_that_differ) == (600, 0)
    assert report.compared == report.rows
    [page, *_] = sorted(folder.glob("runs/tiny/artifacts/Report/page/*/index.html"))
    assert "0 of 600 rows are tokenized differently in the graph and by transformers" in page.read_text()


def test_second_identical_run_is_fully_cached(story):
    done, served = story["again"]
    assert done.exit_code == 0
    assert set(done.states().values()) == {"cached"}
    assert (done.result["version"], served) == (1, ["1"])
    assert done.result["metrics"] == story["first"][0].result["metrics"]


def test_unreachable_threshold_is_not_pushed_and_the_reason_names_it(story):
    done, served = story["unreachable"]
    assert (done.exit_code, done.result["blessed"], done.result["pushed"]) == (3, False, False)
    assert "cross_entropy" in done.result["reason"]
    assert served == ["1"]


def test_only_the_evaluation_runs_again_when_only_a_threshold_changed(story):
    states = story["unreachable"][0].states()
    assert [node for node, state in states.items() if state == "done"] == [
        "Evaluator",
        "Canary",
        "Pusher",
        "Report",
    ]


def test_better_model_is_pushed_as_the_next_version_and_compared_with_the_first(story):
    done, served = story["better"]
    assert (done.exit_code, done.result["version"], served) == (0, 2, ["1", "2"])
    first = story["first"][0].result["metrics"]["accuracy"]
    assert done.result["baseline_metrics"]["accuracy"] == pytest.approx(first)
    assert done.result["metrics"]["accuracy"] > first


def test_run_after_a_comparison_with_a_baseline_is_fully_cached_too(story):
    assert set(story["better again"][0].states().values()) == {"cached"}


def test_model_that_is_too_slow_on_the_server_is_refused_by_the_canary(story):
    done, served = story["too slow"]
    assert (done.exit_code, done.result["blessed"], done.result["pushed"]) == (3, True, False)
    assert "rejected by the canary: p99 latency " in done.result["reason"]
    assert "Traceback" not in done.stderr
    assert [node for node, state in done.states().items() if state == "done"] == [
        "Canary",
        "Pusher",
        "Report",
    ]
    assert served == ["1", "2"]


def test_every_run_has_a_report_that_says_why_a_model_was_refused(story, folder):
    pages = sorted((folder / "runs/tiny/artifacts/Report/page").iterdir(), key=lambda path: int(path.name))
    verdicts = [
        re.search(r'class="verdict[^"]*" role="status"><b>([^<]*)', (page / "index.html").read_text())[1]
        for page in pages
    ]
    assert verdicts == [
        "Accepted by the Evaluator and the Canary",
        "Rejected by the Evaluator",
        "Accepted by the Evaluator and the Canary",
        "Blessed by the Evaluator, rejected by the Canary",
        "Rejected by the Evaluator",
    ]


def test_pushed_model_carries_warm_up_requests(story, folder):
    for version in ("1", "2"):
        recorded = folder / "serving/tiny" / version / "assets.extra/tf_serving_warmup_requests"
        assert recorded.stat().st_size > 0


def test_every_version_tells_what_it_was_made_from_and_how_good_it_is(story, folder):
    listed = call(folder, "versions", "tiny.yaml", "--json")
    assert listed.returncode == 0, listed.stderr
    first, second = json.loads(listed.stdout)
    assert second["run_id"] == story["better"][0].result["run_id"]
    assert first["run_started_at"] < second["run_started_at"]
    assert second["metrics"]["accuracy"] == story["better"][0].result["metrics"]["accuracy"]
    assert second["baseline_metrics"]["accuracy"] == pytest.approx(first["metrics"]["accuracy"])
    assert (second["data"]["path"], second["data"]["span"]) == (str(folder / "data"), 0)
    assert second["data"]["fingerprint"].startswith("split:")
    assert second["checkpoint"]["name"] == str(folder / "encoder")
    assert first["code"] == second["code"]
    assert first["config_sha256"] != second["config_sha256"]
    assert (first["damage"], second["damage"]) == (None, None)
    record = json.loads((folder / "serving/tiny/2/assets.extra/push.json").read_text())
    assert record["config"]["train"]["max_steps"] == 150


def test_metadata_store_tells_the_same_of_a_version(story, folder):
    record = json.loads((folder / "serving/tiny/2/assets.extra/push.json").read_text())
    connection = ConnectionConfig()
    connection.sqlite.filename_uri = str(folder / "runs/tiny/metadata.sqlite")
    pushes = [
        {key: value.string_value for key, value in artifact.custom_properties.items()}
        for artifact in MetadataStore(connection).get_artifacts_by_type("PushedModel")
    ]
    [stored] = [push for push in pushes if push.get("pushed_version") == "2"]
    for key in (
        "run_id",
        "run_started_at",
        "by",
        "pushed_at",
        "model_uri",
        "model_sha256",
        "code",
        "config_sha256",
    ):
        assert stored[key] == record[key], key
    for key in ("metrics", "baseline_metrics", "data", "checkpoint", "config", "model_artifact_id"):
        assert json.loads(stored[key]) == record[key], key
    assert record["metrics"].keys() >= {"accuracy", "cross_entropy"}
    assert record["data"].keys() == {"path", "span", "fingerprint"}
    assert record["checkpoint"].keys() == {"name", "fingerprint"}
    assert stored["model_uri"] == str(
        folder / "runs/tiny/artifacts/Trainer/model" / Path(stored["model_uri"]).name
    )
    assert "@" in stored["by"]


def test_worse_model_is_refused_and_the_served_version_stays(story):
    done, served = story["worse"]
    assert (done.exit_code, done.result["blessed"], done.result["pushed"]) == (3, False, False)
    assert "accuracy" in done.result["reason"]
    assert served == ["1", "2"]


ANSWER = """
import json, sys
import numpy as np, tensorflow as tf, tensorflow_text
texts = json.load(open(sys.argv[2]))
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answers = serve(text=tf.constant(texts))
json.dump({
    "probabilities": answers["probabilities"].numpy().tolist(),
    "label": [label.decode() for label in answers["label"].numpy()],
}, open(sys.argv[3], "w"))
"""


def answers(model: Path, texts: Path, out: Path) -> dict[str, Any]:
    subprocess.run(
        [sys.executable, "-c", ANSWER, str(model), str(texts), str(out)], check=True, cwd=out.parent
    )
    return json.loads(out.read_text())


def test_served_model_answers_as_the_evaluated_one_with_the_runs_folders_gone(story, folder, tmp_path):
    texts = tmp_path / "texts.json"
    texts.write_text(json.dumps([text for text, _ in rows(100, seed=7)]))
    models = sorted((folder / "runs/tiny/artifacts/Trainer/model").iterdir(), key=lambda p: int(p.name))
    # The last one was refused; the one before it was pushed.
    evaluated = answers(models[-2] / "Format-Serving", texts, tmp_path / "evaluated.json")
    (folder / "runs").rename(folder / "runs.gone")
    (folder / "encoder").rename(folder / "encoder.gone")
    try:
        served = answers(folder / "serving/tiny/2", texts, tmp_path / "served.json")
    finally:
        (folder / "runs.gone").rename(folder / "runs")
        (folder / "encoder.gone").rename(folder / "encoder")
    assert served["label"] == evaluated["label"]
    difference = max(
        abs(a - b)
        for left, right in zip(served["probabilities"], evaluated["probabilities"], strict=True)
        for a, b in zip(left, right, strict=True)
    )
    assert difference <= 1e-5
    right = sum(label == told for label, (_, told) in zip(served["label"], rows(100, seed=7), strict=True))
    assert right >= 90


def test_failing_report_is_exit_code_1_and_says_what_was_pushed_before(story, folder):
    outputs = folder / "runs/tiny/artifacts/Report"
    outputs.rename(outputs.with_name("Report.gone"))
    outputs.write_text("in the way of the folder")
    failed = run(folder, *BETTER, "report.mistakes=3")
    outputs.unlink()
    outputs.with_name("Report.gone").rename(outputs)
    assert (failed.exit_code, failed.result["status"]) == (1, "failed"), failed.stderr
    assert (failed.result["pushed"], failed.result["version"], versions(folder)) == (True, 2, ["1", "2"])
    assert [node for node, state in failed.states().items() if state == "failed"] == ["Report"]
    assert failed.result["reason"].startswith("node Report failed: ")
    assert failed.result["reason"].endswith("; before that: pushed as version 2")
    assert f"error: {failed.result['reason']}" in failed.stderr.splitlines()
    assert "Traceback" not in failed.stderr


def test_failing_destination_leaves_the_push_and_the_next_run_tries_it_again(story, folder):
    bucket = folder / "bucket"
    bucket.write_text("in the way of the folder")
    overrides = (*BETTER, f"push.destinations=[{{folder: 'file://{bucket}'}}]")
    failed = run(folder, *overrides)
    assert (failed.exit_code, failed.result["status"], failed.result["pushed"]) == (1, "failed", True)
    assert failed.result["reason"].startswith(
        f"version 2 is pushed to {folder}/serving/tiny, but not to file:"
    )
    assert "Traceback" not in failed.stderr
    bucket.unlink()
    done = run(folder, *overrides)
    assert (done.exit_code, versions(folder)) == (0, ["1", "2"]), done.stderr
    assert [node for node, state in done.states().items() if state == "done"] == ["SecondPusher"]
    assert (bucket / "tiny/2/saved_model.pb").is_file()


def test_model_of_a_newer_run_is_replaced_by_force_only(story, folder):
    served = folder / "serving" / "tiny"
    shutil.rmtree(served / "2")  # so that it is pushed again
    record = served / "1/assets.extra/push.json"
    newer = {"run_id": "of another machine", "run_started_at": "2999-01-01T00:00:00+00:00"}
    record.write_text(json.dumps(json.loads(record.read_text()) | newer))
    refused = run(folder, *BETTER)
    assert (refused.exit_code, refused.result["status"], versions(folder)) == (3, "refused", ["1"])
    assert "version 1 is of run of another machine" in refused.result["reason"]
    assert "Traceback" not in refused.stderr
    forced = call(folder, "run", "tiny.yaml", "--set", BETTER[0], "--force")
    assert (forced.returncode, versions(folder)) == (0, ["1", "3"]), forced.stderr


def in_push_step(folder: Path) -> subprocess.Popen[bytes]:
    """A run that waits in its push step for the serving folder's lock, which the caller holds."""
    pushes, log = folder / "runs/tiny/artifacts/Pusher/pushed_model", folder / "killed.log"
    before = set(pushes.iterdir())
    runner = str(PROJECT_DIR / "runner_local.py")
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, runner, "run", "tiny.yaml", "--set", BETTER[0], "--force"],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 240
    while set(pushes.iterdir()) == before:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"the run does not come to its push step: {log.read_text()}")
        time.sleep(0.01)
    return process


def kill_while_pushing(folder: Path) -> None:
    """SIGKILL as soon as the copy is seen; where that is missed, after the push."""
    served = folder / "serving" / "tiny"
    before = versions(folder)
    with (served / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = in_push_step(folder)
    deadline = time.monotonic() + 60
    while (
        process.poll() is None
        and versions(folder) == before
        and not list(served.glob(".staging-*"))
        and time.monotonic() < deadline
    ):
        time.sleep(0.001)
    process.kill()
    process.wait()


def test_kill_of_a_run_in_its_push_leaves_whole_versions_and_the_next_run_goes_on(story, folder):
    served = folder / "serving" / "tiny"
    for version in versions(folder)[1:]:
        shutil.rmtree(served / version)  # so that it is pushed again
    kill_while_pushing(folder)
    for version in versions(folder):
        assert version_damage(served / version, thorough=True) == ""
        record = json.loads((served / version / "assets.extra/push.json").read_text())
        assert record["version"] == int(version)
    done = run(folder, *BETTER, force=True)
    assert (done.exit_code, done.result["pushed"]) == (0, True), done.stderr
    assert done.result["status"] in ("pushed", "cached")
    assert versions(folder)[-1] == str(done.result["version"])
    assert version_damage(served / versions(folder)[-1], thorough=True) == ""
    assert list(served.glob(".staging-*")) == []


def live_artifacts(folder: Path) -> list[Path]:
    connection = ConnectionConfig()
    connection.sqlite.filename_uri = str(folder / "runs/tiny/metadata.sqlite")
    found = MetadataStore(connection).get_artifacts()
    return [Path(artifact.uri) for artifact in found if artifact.state == Artifact.LIVE]


def test_outputs_of_every_node_have_digests_that_hold(story, folder):
    artifacts = live_artifacts(folder)
    assert {uri.parents[1].name for uri in artifacts} >= {*story["first"][0].states()} - {"BaselineResolver"}
    assert {manifest.damage(uri, thorough=True) for uri in artifacts if uri.exists()} == {""}


def test_damaged_model_is_trained_again_and_its_bytes_are_not_pushed(story, folder):
    weights = "variables/variables.data-00000-of-00001"
    record = folder / "serving/tiny" / versions(folder)[-1] / "assets.extra/push.json"
    trained = Path(json.loads(record.read_text())["model_uri"], "Format-Serving", weights)
    whole = trained.read_bytes()
    for path in (trained, *folder.glob(f"runs/tiny/artifacts/Canary/blessing/*/stamped_model/{weights}")):
        content = path.read_bytes()
        rewrite(path, content[:100] + bytes([content[100] ^ 1]) + content[101:])
    done = run(folder, *BETTER, "push.serving_dir=elsewhere")
    assert done.exit_code == 0, done.stderr
    assert done.states()["Transform"] == "cached"
    assert {done.states()[node] for node in ("Trainer", "Evaluator", "Canary", "Pusher")} == {"done"}
    line = (
        f"Trainer: its cached output {trained.relative_to(folder)} is damaged (sha256 differs); it runs again"
    )
    assert line in done.stderr.splitlines()
    pushed = folder / "elsewhere/tiny/1"
    assert (pushed / weights).read_bytes() == whole
    assert version_damage(pushed, thorough=True) == ""


@only_full
def test_lost_metadata_store_costs_the_cache_and_neither_what_is_served_nor_the_comparison_with_it(
    story, folder
):
    before = versions(folder)
    store = folder / "runs/tiny/metadata.sqlite"
    store.write_bytes(store.read_bytes()[:20_000])
    refused = run(folder, "train.max_steps=1")
    assert (refused.exit_code, versions(folder)) == (3, before), refused.stderr
    assert "worse than the last blessed model" in refused.result["reason"]
    assert set(refused.states().values()) == {"done"}
    [line] = [line for line in refused.stderr.splitlines() if "the metadata store is damaged" in line]
    assert "It starts anew: all steps run again, what is served stays" in line
    assert run(folder, *BETTER, force=True).exit_code == 0
    assert "Traceback" not in refused.stderr
