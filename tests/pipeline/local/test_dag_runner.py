"""Runs real TFX function components. (No `annotations` import: `@component` reads them as objects.)"""

import functools
from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.standard_artifacts import Examples

from models.errors import GateRefused, PipelineError
from pipeline.local.dag_runner import ObservedDagRunner
from pipeline.local.failures import NodeFailed, explain
from pipeline.local.node_run import NodeRun


@component
def Producer(examples: OutputArtifact[Examples], rows: Parameter[int]):
    examples.set_int_custom_property("rows", rows)
    Path(examples.uri, "data.txt").write_text("x\n" * rows)


@component
def Consumer(examples: InputArtifact[Examples], behaviour: Parameter[str]):
    if behaviour == "pipeline error":
        raise PipelineError("train-00000: record 7 is broken")
    if behaviour == "refuse":
        raise GateRefused("split 'eval' has 3 rows, at least 10 are needed")
    if behaviour == "bug":
        raise ZeroDivisionError("division by zero\nand more")
    if behaviour == "ctrl-c":
        raise KeyboardInterrupt


def run(
    folder: Path, run_id: str, behaviour: str = "fine", rows: int = 2, resolve: bool = False
) -> list[NodeRun]:
    producer = Producer(rows=rows)
    consumer = Consumer(examples=producer.outputs["examples"], behaviour=behaviour)
    nodes = [producer, consumer]
    if resolve:
        latest = Resolver(strategy_class=LatestArtifactStrategy, examples=producer.outputs["examples"])
        latest.add_upstream_node(consumer)
        nodes.append(latest)
    pipeline = Pipeline(
        "tiny",
        str(folder / "artifacts"),
        metadata_connection_config=sqlite_metadata_connection_config(str(folder / "metadata.sqlite")),
        components=nodes,
        enable_cache=True,
    )
    events: list[NodeRun] = []
    try:
        ObservedDagRunner(run_id, events.append).run(pipeline)
    except BaseException as error:
        error.events = events
        raise
    return events


def states(events: list[NodeRun]) -> list[tuple[str, str]]:
    return [(event.id, event.state) for event in events]


def execution_states(folder: Path) -> list[str]:
    store = MetadataStore(sqlite_metadata_connection_config(str(folder / "metadata.sqlite")))
    executions = sorted(store.get_executions(), key=lambda e: e.id)
    return [mlmd.Execution.State.Name(e.last_known_state) for e in executions]


def test_nodes_run_in_order_and_report_their_outputs(tmp_path):
    events = run(tmp_path, "first")
    assert states(events) == [
        ("Producer", "running"),
        ("Producer", "done"),
        ("Consumer", "running"),
        ("Consumer", "done"),
    ]
    [examples] = events[1].outputs["examples"]
    assert examples.properties["rows"] == 2
    assert Path(examples.uri, "data.txt").read_text() == "x\nx\n"
    assert events[1].seconds > 0


def test_the_second_identical_run_is_all_cached_and_names_the_same_outputs(tmp_path):
    first, second = run(tmp_path, "first"), run(tmp_path, "second")
    assert states(second)[1::2] == [("Producer", "cached"), ("Consumer", "cached")]
    assert second[1].outputs == first[1].outputs


def test_a_resolver_is_cached_when_it_finds_what_it_found_before(tmp_path):
    resolver = [run(tmp_path, name, resolve=True)[-1].state for name in ("first", "second")]
    assert resolver == ["done", "cached"]
    assert run(tmp_path, "third", rows=3, resolve=True)[-1].state == "done"


def test_a_changed_parameter_reruns_the_node_and_what_depends_on_it(tmp_path):
    run(tmp_path, "first")
    assert states(run(tmp_path, "second", rows=3))[1::2] == [("Producer", "done"), ("Consumer", "done")]


@pytest.mark.parametrize(
    ("behaviour", "reason", "exit_code"),
    [
        ("pipeline error", "train-00000: record 7 is broken", 1),
        ("refuse", "split 'eval' has 3 rows, at least 10 are needed", 3),
        ("bug", "node Consumer failed: ZeroDivisionError: division by zero (details: run.log)", 1),
    ],
)
def test_a_failing_node_ends_the_run_with_one_line(tmp_path, behaviour, reason, exit_code):
    with pytest.raises(NodeFailed) as raised:
        run(tmp_path, "first", behaviour)
    failure = explain(raised.value, Path("run.log"))
    assert (failure.reason, failure.exit_code) == (reason, exit_code)
    assert states(raised.value.events)[-1] == ("Consumer", "failed")
    assert execution_states(tmp_path) == ["COMPLETE", "FAILED"]


def test_a_node_that_does_not_depend_on_the_failed_one_runs_and_one_that_does_is_left_out(tmp_path):
    producer = Producer(rows=1)
    consumers = [
        Consumer(examples=producer.outputs["examples"], behaviour=behaviour).with_id(name)
        for name, behaviour in (("Breaks", "bug"), ("DoesNotDepend", "fine"), ("Depends", "fine"))
    ]
    consumers[2].add_upstream_node(consumers[0])
    pipeline = Pipeline(
        "tiny",
        str(tmp_path / "artifacts"),
        metadata_connection_config=sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite")),
        components=[producer, *consumers],
    )
    events: list[NodeRun] = []
    with pytest.raises(NodeFailed) as raised:
        ObservedDagRunner("first", events.append).run(pipeline)
    assert raised.value.node_id == "Breaks"
    assert states(events)[1::2] == [("Producer", "done"), ("Breaks", "failed"), ("DoesNotDepend", "done")]


def test_an_interrupted_node_is_closed_and_the_next_run_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt) as raised:
        run(tmp_path, "first", "ctrl-c")
    assert states(raised.value.events)[-1] == ("Consumer", "interrupted")
    assert execution_states(tmp_path) == ["COMPLETE", "CANCELED"]
    assert states(run(tmp_path, "second"))[1::2] == [("Producer", "cached"), ("Consumer", "done")]


def test_what_a_killed_run_left_running_is_closed_by_the_next_one(tmp_path):
    run(tmp_path, "first")
    store = MetadataStore(sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite")))
    last = max(store.get_executions(), key=lambda e: e.id)
    last.last_known_state = mlmd.Execution.RUNNING
    store.put_executions([last])
    del store
    assert states(run(tmp_path, "second"))[1::2] == [("Producer", "cached"), ("Consumer", "done")]
    assert execution_states(tmp_path) == ["COMPLETE", "CANCELED", "CACHED", "COMPLETE"]


def test_partial_runs_are_refused(tmp_path):
    from tfx.orchestration.pipeline import RunOptions

    producer = Producer(rows=1)
    pipeline = Pipeline(
        "tiny",
        str(tmp_path / "artifacts"),
        metadata_connection_config=sqlite_metadata_connection_config(str(tmp_path / "m.sqlite")),
        components=[producer],
    )
    start = functools.partial(ObservedDagRunner("r", lambda run: None).run, pipeline)
    with pytest.raises(NotImplementedError, match="partial runs"):
        start(run_options=RunOptions(from_nodes=["Producer"]))
