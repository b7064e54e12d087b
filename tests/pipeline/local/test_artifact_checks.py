"""Damaged artifacts are made again by their own node. (No `annotations` import: `@component` reads them.)"""

import os
import shutil
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.standard_artifacts import Examples, ExampleStatistics

from components import manifest
from models.errors import GateRefused
from pipeline.local.dag_runner import ObservedDagRunner
from pipeline.local.failures import NodeFailed, explain
from tests.components.test_manifest import accept_stamp, rewrite


@component
def Producer(examples: OutputArtifact[Examples]):
    Path(examples.uri, "rows.txt").write_text("rows\n")


@component
def Consumer(
    examples: InputArtifact[Examples],
    statistics: OutputArtifact[ExampleStatistics],
    behaviour: Parameter[str],
):
    rows = Path(examples.uri, "rows.txt")
    if behaviour == "input breaks meanwhile":
        rewrite(rows, b"rowS\n")
        raise ValueError("crc of row 0 does not match")
    if behaviour == "refuses":
        rewrite(rows, b"rowS\n")
        raise GateRefused("too few rows")
    Path(statistics.uri, "count.txt").write_text(f"{behaviour} {rows.read_text()}")


@component
def Apart(statistics: OutputArtifact[ExampleStatistics]):
    Path(statistics.uri, "count.txt").write_text("0")


class Told(list):
    """The runner's messages, and the states of the nodes that ended."""

    states: dict[str, str]


def run(folder: Path, run_id: str, behaviour: str = "counts", verify: bool = False) -> Told:
    producer = Producer()
    consumer = Consumer(examples=producer.outputs["examples"], behaviour=behaviour)
    pipeline = Pipeline(
        "tiny",
        str(folder / "artifacts"),
        metadata_connection_config=sqlite_metadata_connection_config(str(folder / "metadata.sqlite")),
        components=[producer, consumer, Apart()],
        enable_cache=True,
    )
    told = Told()
    told.states = {}

    def observe(node):
        told.states[node.id] = node.state

    try:
        ObservedDagRunner(run_id, observe, told.append, verify).run(pipeline)
    except NodeFailed as error:
        told.append(explain(error, Path("run.log")).reason)
    return told


def rows_file(folder: Path) -> Path:
    newest = max((folder / "artifacts/Producer/examples").glob("[0-9]*"), key=lambda path: int(path.name))
    return newest / "rows.txt"


def flip(folder: Path) -> Path:
    rewrite(rows_file(folder), b"rowS\n")
    return rows_file(folder)


def test_damaged_cached_output_makes_its_node_run_again_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path, "first")
    flip(tmp_path)
    again = run(tmp_path, "second")
    assert again == [
        "Producer: its cached output artifacts/Producer/examples/2/rows.txt is damaged (sha256 differs); it runs again"
    ]
    assert again.states == {"Producer": "done", "Consumer": "done", "Apart": "cached"}
    third = run(tmp_path, "third")
    assert (third, set(third.states.values())) == ([], {"cached"})


def test_damaged_output_that_nothing_reads_re_runs_no_other_node(tmp_path):
    run(tmp_path, "first")
    (tmp_path / "artifacts/Consumer/statistics/3/count.txt").unlink()
    again = run(tmp_path, "second")
    assert again.states == {"Producer": "cached", "Consumer": "done", "Apart": "cached"}
    assert len(again) == 1
    assert again[0].endswith("/artifacts/Consumer/statistics/3/count.txt is gone; it runs again")


def test_node_whose_folder_was_deleted_runs_again_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path, "first")
    shutil.rmtree(tmp_path / "artifacts/Producer")
    again = run(tmp_path, "second")
    assert again == ["Producer: its cached output artifacts/Producer/examples/2 is gone; it runs again"]
    assert again.states == {"Producer": "done", "Consumer": "done", "Apart": "cached"}


def test_output_without_digests_is_made_anew(tmp_path):
    run(tmp_path, "first")
    manifest.manifest_path(rows_file(tmp_path).parent).unlink()
    again = run(tmp_path, "second")
    assert again.states["Producer"] == "done"
    assert again[0].endswith("/artifacts/Producer/examples/2 has no record of its digests; it runs again")


def test_verify_reads_what_looks_unchanged(tmp_path):
    run(tmp_path, "first")
    accept_stamp(flip(tmp_path).parent, "rows.txt")
    assert set(run(tmp_path, "second").states.values()) == {"cached"}
    verified = run(tmp_path, "third", verify=True)
    assert verified.states == {"Producer": "done", "Consumer": "done", "Apart": "cached"}
    assert "rows.txt is damaged (sha256 differs); it runs again" in verified[0]
    assert verified[1:] == ["--verify: 1 cached outputs have the recorded sha256"]


def test_node_does_not_read_an_input_whose_bytes_changed_without_a_trace(tmp_path):
    run(tmp_path, "first")
    accept_stamp(flip(tmp_path).parent, "rows.txt")
    other = run(tmp_path, "second", behaviour="counts otherwise")
    assert (other.states["Producer"], other.states["Consumer"]) == ("cached", "failed")
    assert len(other) == 1
    assert other[0].startswith("Producer: its output ")
    assert other[0].endswith(
        "rows.txt is damaged (sha256 differs), so Consumer cannot use it; run the same command again to recreate it"
    )
    third = run(tmp_path, "third", behaviour="counts otherwise")
    assert (third, third.states["Producer"], third.states["Consumer"]) == ([], "done", "done")


def test_failure_over_a_damaged_input_names_the_node_to_run_again(tmp_path):
    run(tmp_path, "first")
    failed = run(tmp_path, "second", behaviour="input breaks meanwhile")
    assert len(failed) == 1
    assert failed[0].startswith("Producer: its output ")
    assert "so Consumer cannot use it; run the same command again" in failed[0]
    assert run(tmp_path, "third").states == {"Producer": "done", "Consumer": "done", "Apart": "cached"}


def test_refusal_of_a_gate_stays_its_own(tmp_path):
    assert run(tmp_path, "first", behaviour="refuses") == ["too few rows"]


def test_older_whole_output_of_the_same_inputs_is_taken_before_a_node_runs_again(tmp_path):
    run(tmp_path, "first")
    kept = rows_file(tmp_path).parent
    os.rename(kept, tmp_path / "aside")
    run(tmp_path, "second")
    os.rename(tmp_path / "aside", kept)
    assert rows_file(tmp_path).parent.name != kept.name
    assert run(tmp_path, "third").states["Producer"] == "cached"
