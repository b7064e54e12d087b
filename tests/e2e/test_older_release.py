"""A version pushed by an older release is listed, served, compared with and rolled back to by this release."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_pipeline import call, run, versions
from tests.support.model_server import running
from tests.support.tiny_project import write_project

pytestmark = pytest.mark.e2e

TEXTS = ["how far is rome?", "the dog"]
# What TensorFlow answered with the older release's code: animal, number, place.
ANSWERS = {
    1: [[0.346487, 0.320866, 0.332648], [0.346715, 0.321419, 0.331866]],
    2: [[0.227552, 0.234640, 0.537808], [0.439794, 0.386234, 0.173971]],
}
ACCURACY = 28 / 44  # of version 2 on the test split, as its push.json says


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("older")
    write_project(folder)
    with tarfile.open(Path(__file__).parent / "older_release" / "serving.txz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def answers_of(folder: Path, version: int) -> list[list[float]]:
    with running(folder / "serving", version) as server:
        answer = httpx.post(f"{server.url}/v1/models/tiny:predict", json={"instances": TEXTS}, timeout=60)
    assert answer.status_code == 200, answer.text
    return [row["probabilities"] for row in answer.json()["predictions"]]


def test_its_versions_are_listed_as_whole_with_their_metrics(folder: Path) -> None:
    listed = call(folder, "versions", "tiny.yaml", "--json")
    assert listed.returncode == 0, listed.stderr
    first, second = json.loads(listed.stdout)
    assert [first["damage"], second["damage"]] == [None, None]
    assert second["metrics"]["accuracy"] == pytest.approx(ACCURACY)
    assert second["baseline_metrics"]["accuracy"] == pytest.approx(13 / 44)


def test_its_newest_version_answers_as_it_did(folder: Path) -> None:
    assert answers_of(folder, 2) == [pytest.approx(row, abs=1e-5) for row in ANSWERS[2]]


def test_worse_model_is_refused_against_it(folder: Path) -> None:
    done = run(folder, "train.max_steps=1")
    assert (done.exit_code, done.result["blessed"], done.result["pushed"]) == (3, False, False), done.stderr
    assert done.result["baseline_metrics"]["accuracy"] == pytest.approx(ACCURACY)
    assert "accuracy" in done.result["reason"]
    assert versions(folder) == ["1", "2"]


def test_it_can_be_rolled_back_to(folder: Path) -> None:
    back = call(folder, "rollback", "tiny.yaml")
    assert back.returncode == 0, back.stderr
    newest = int(versions(folder)[-1])
    assert newest == 3
    assert answers_of(folder, newest) == [pytest.approx(row, abs=1e-5) for row in ANSWERS[1]]
